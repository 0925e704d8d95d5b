"""What the report shows of models that work as agents.

May import what `reporting` may. Start with `details`; `figures.agents` draws how tasks ended.
"""
