"""The command `sit`: thin verbs that read options, call the library and print.

It may import everything; nothing imports it. Start reading in `app`, then in `run`.
"""
