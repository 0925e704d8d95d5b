"""One module per section of the configuration; every setting has its description.

They import only each other, `config.languages` and `config.domains`. Start reading in `section`, then in the section of
the stage that you care about.
"""
