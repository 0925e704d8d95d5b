"""The verb chat: a conversation with a student, on a terminal or from a pipe.

It imports run, engines, chat and models. Start reading in `command`; `session` reads lines and prints answers.
"""
