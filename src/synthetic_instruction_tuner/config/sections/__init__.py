"""One module per section of the configuration; every setting has its description.

A section imports other sections, what reads languages, texts and messages in `config`, and methods, escaping and
web_addresses. Start reading in `section`, then in the section of the stage that you care about.
"""
