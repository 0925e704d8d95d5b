"""The store of a run: one SQLite file with every row, stage state and fact; a batch is committed whole or not at all.

It imports config, data_files, engines.base, models.files and errors. Start reading in `store`; `connection` runs the
SQL, and `file` opens, checks and sets aside the file. What an unfinished batch or benchmark already has is kept by
`served_texts` (a server's), `kept_answers` (a student's) and `judge_replies` (a judge's).
"""

from synthetic_instruction_tuner.run.store.store import Row, StageState, Store

__all__ = ["Row", "StageState", "Store"]
