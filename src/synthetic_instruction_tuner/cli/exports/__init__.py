"""The verbs that carry results elsewhere: export, pack and unpack.

The package imports run, exporting and reporting. Start reading in `export`; `pack` moves whole runs.
"""
