"""Verbs that measure models outside a run.

May import what `cli` may. Start with `agent_eval`, which plays agent tasks; each module is a verb.
"""
