"""One module per section of the configuration; every setting has its description.

A section imports only other sections, `config.languages` and `config.text_files`. Start reading in `section`, then in
the section of the stage that you care about.
"""
