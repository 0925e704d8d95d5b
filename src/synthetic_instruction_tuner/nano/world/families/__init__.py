"""The families of tasks of the nano world, a module or a package for each kind of task.

Imports nano.world's family, goals, tiny_python and vocabulary.
Start with `arithmetic.calculation`; `dialogue` holds second turns, `flaws` the bad answers that filters must find.
"""
