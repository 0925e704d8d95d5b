"""From no data at all to a tuned and evaluated small language model, in one resumable run."""

__version__ = "0.1.0"
