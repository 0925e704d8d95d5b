"""The nano world: families of small tasks whose instructions can be read back and whose answers can be checked.

Runs use it for the nano benchmarks, `nano.training` for the models' text. Imports records only.
Start with `mixture` (draws items) and `checking` (checks answers); `family` says what a family is.
"""
