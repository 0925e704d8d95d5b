"""What the notebooks share: one run folder for all of them, here or on a drive that outlives the session.

Imports the rest of run, and reporting. Start reading in `session`; `colab` knows what is special about Colab.
Asking for a name of this package checks the versions of loaded packages first: importing the rest may fail with others.
"""

from typing import TYPE_CHECKING, Any

import synthetic_instruction_tuner.run.notebooks.colab as colab
from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.run.notebooks.session import Session
    from synthetic_instruction_tuner.run.notebooks.tables import text_table

__all__ = ["Session", "text_table"]

_named = lazy_names(__name__, {"Session": "session", "text_table": "tables"})


def __getattr__(name: str) -> Any:
    if name in __all__:
        colab.check_loaded_versions()
    return _named(name)
