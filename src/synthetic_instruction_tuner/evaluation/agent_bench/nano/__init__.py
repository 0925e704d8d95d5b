"""Agent tasks of the embedded nano world: one step each, in the form that the nano models know, executed for real.

May import what `agent_bench` may, and nano.world. Start with `database`; `shell` has tasks in a sandbox.
"""
