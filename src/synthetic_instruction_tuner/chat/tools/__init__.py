"""Tools in a conversation: how a chat template offers them, shows a call of them, and shows what came back.

Imports what `chat` may. Start with `template` (`ToolTemplate`); `calls` says what a call is, `forms` reads calls from a
model's text, and `detection` finds out which form a template has.
"""
