"""What only a GPU does in decoding and scoring: attention over pages, fused layers, sampling, graphs, packed texts.

Imports `models.memory`; the kernels need Triton. Start reading in `paged_cache`, then in `attention_kernel`.
"""
