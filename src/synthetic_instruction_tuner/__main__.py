"""``python -m synthetic_instruction_tuner`` is the command `sit`."""

from .cli.app import main

main()
