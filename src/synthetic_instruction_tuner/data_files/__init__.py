"""Data files: reading records of any usual shape, and writing files that are complete or not there.

Imports records and errors; pyarrow only inside functions.
Start with `reading` (`read_records`) and `exports` (`export_rows`); `atomic_writing` is under all that writes.
"""
