"""Data files: reading records of any usual shape, and writing files completely or not at all.

Imports records and errors; pyarrow and datasets only inside functions.
Start with `reading` (`read_records`) and `exports` (`export_rows`); everything that writes uses `atomic_writing`.
"""

from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.data_files.reading import read_records

__all__ = ["export_rows", "read_records"]
