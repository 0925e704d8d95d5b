"""Reward models: any sequence classifier of Transformers as a scorer of answers.

May import what `preference` may, and torch and transformers inside functions. Start with `model`.
"""
