"""A run: its stages in their order, its folder and its store, what is checked before it starts, how long it takes.

It may import everything except cli. Start reading in `execution`, which starts a run, and `pipeline`, which runs the
stages; the stages themselves are in `stages`.
"""
