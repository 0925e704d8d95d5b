"""Families of tasks of the nano world, one module per kind."""
