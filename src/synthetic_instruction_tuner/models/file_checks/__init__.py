"""A model's files, read strictly and without loading the model, so that damage is found before any work.

Imports nothing of the package but errors and escaping; never torch or transformers. Start reading in `soundness`, then
in `weight_files`; `pickled_weights` reads PyTorch's format without running anything in it.
"""
