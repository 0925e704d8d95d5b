"""One module per section of the configuration; every setting has its description.

A section imports only other sections, and `config.languages`. Start reading in `section`, then in
the section of the stage that you care about.
"""
