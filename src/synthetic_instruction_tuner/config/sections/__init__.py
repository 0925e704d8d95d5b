"""One module per section of the configuration, every setting with its description."""
