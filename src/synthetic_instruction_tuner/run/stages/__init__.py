"""One module per stage: what connects the library to a run's store and folder."""
