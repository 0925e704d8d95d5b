"""The stages of a run, one module each: they connect the libraries to the store and the run's folder.

They may import everything below `run`, and `run` itself. They hand work to each other through the store alone. Start
reading in `stage`, then in `generate`.
"""
