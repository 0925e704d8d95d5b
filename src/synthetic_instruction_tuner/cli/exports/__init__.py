"""The verbs that carry results elsewhere: export, pack, unpack and push.

The package imports run, exporting, publishing and reporting. Start reading in `export`; `pack` moves whole runs, `push`
publishes them.
"""
