"""The stages of a run, one module each: they connect the libraries to the store and the run's folder.

Stages import libraries and never each other; they meet in the store. Start reading in `stage`, then in `generate`.
"""
