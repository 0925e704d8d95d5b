"""Training of the embedded reward model: a small DeBERTa-v2.

Imports nano.training, nano.world, torch and transformers.
Start with `phase` (all steps in order), then `groups` (labelled answers), `pretraining` and `ranking`.
"""
