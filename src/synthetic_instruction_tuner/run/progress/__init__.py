"""What a run shows while it works: stages, tasks, notes, and the time left.

It imports `reporting.screen` and `reporting.formatting`. Start reading in `display`; `forecast` says how long things
take, and learns while they run; `live_line` fits one task into one line; `notebook_cell` is the screen of a notebook.
"""

from synthetic_instruction_tuner.run.progress.display import Advance, Display, Working

__all__ = ["Advance", "Display", "Working"]
