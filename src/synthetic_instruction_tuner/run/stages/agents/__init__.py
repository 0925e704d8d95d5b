"""Stage agents: variants of the students work on tasks turn by turn.

May import what a stage may. Start with `stage`; `playing` brings a variant's conversations forward, `units` says under
which names the store has them.
"""
