"""What stage evaluate evaluates: the variants of the students, what their answers depend on, and how they are asked.

Imports what stages import. Start with `variant`, then `keys` (what an answer depends on) and `answering`.
"""
