"""The verbs that write what people read: ``sit report`` and ``sit slides``.

May import what `cli` may. Start with `report`.
"""
