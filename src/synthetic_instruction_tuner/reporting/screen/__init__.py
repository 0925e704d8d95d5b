"""What a screen shows: lines of text and tables that fit its width and never cut a number.

It imports `escaping`. Start reading in `table.py`; `wrapping.py` says where a line may break, and
`terminal.py` how wide the screen is.
"""
