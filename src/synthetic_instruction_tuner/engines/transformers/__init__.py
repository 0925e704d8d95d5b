"""The transformers engine: continuous batching on a CPU or one GPU, in this process.

Imports engines.base, models, errors, torch and transformers.
Start with `engine` (`TransformersEngine`); `slot_decoding` is its decode loop, `scoring` its log-probabilities.
"""
