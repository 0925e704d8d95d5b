"""Data files: reading records of any usual shape, and writing files completely or not at all.

Imports records and errors; pyarrow only inside functions.
Start with `reading` (`read_records`) and `exports` (`export_rows`); everything that writes uses `atomic_writing`.
"""
