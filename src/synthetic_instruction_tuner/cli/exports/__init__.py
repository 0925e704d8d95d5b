"""The verbs that carry results elsewhere: export, pack and unpack.

They import run, exporting and reporting. Start reading in `export`; `pack` moves whole runs.
"""
