"""The store of a run: one SQLite file with every row, stage state and fact; a batch is committed whole or not at all.

It imports config, data_files, engines.base, models.files and errors. Start reading in `store`; `connection` runs the
SQL, `file` opens, checks and sets aside the file, and `served_texts` keeps what a server had answered before it went
away.
"""

from synthetic_instruction_tuner.run.store.store import Row, StageState, Store

__all__ = ["Row", "StageState", "Store"]
