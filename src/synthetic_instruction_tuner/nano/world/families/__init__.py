"""The families of tasks of the nano world, one module per kind of task.

Imports nano.world's family, goals, tiny_python and vocabulary.
Start with `arithmetic`; `dialogue` holds second turns, `flaws` the bad answers that filters must find.
"""
