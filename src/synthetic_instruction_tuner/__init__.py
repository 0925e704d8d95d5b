"""From no data at all to a tuned and evaluated small language model, in one resumable run.

Every other package imports what is below it in docs/architecture.md, never what is above. Start reading in `cli.app`
to follow the command `sit`, or in a library such as `filtering` to use the classes.
"""

__version__ = "0.1.0"
