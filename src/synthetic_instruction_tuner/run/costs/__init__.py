"""What work costs on a machine: seconds and memory of decoding, reading and tuning, on a CPU and on GPUs.

May import what `run` may. Start reading in `work.py`, which says what costs are asked for; `stages.py` adds them up,
`fitting.py` finds the settings that make a stage fit, and `plan_tables.py` shows it all.
"""
