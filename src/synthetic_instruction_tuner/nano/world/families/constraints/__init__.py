"""Verifiable constraints on the form of a text, in the sense of IFEval (Zhou et al. 2023, arXiv:2311.07911).

Imports nano.world.family, vocabulary and families.prose.
Start with `constraint` (what a constraint is); `wording` and `layout` are the twelve constraints.
"""
