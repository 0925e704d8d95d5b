"""``python -m synthetic_instruction_tuner`` is the command `sit`."""

from synthetic_instruction_tuner.cli.app import main

main()
