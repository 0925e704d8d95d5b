"""A whole run as one file, for an archive or another machine.

Imports exporting, data_files and the rest of run. Start reading in `pack`; `unpack` undoes it.
"""
