"""What only a GPU does in decoding: attention over pages, sampling, and CUDA graphs of whole steps.

Imports `models.memory`; the kernels need Triton. Start reading in `paged_cache`, then in `attention_kernel`.
"""
