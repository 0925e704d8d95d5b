"""Benchmarks through lm-evaluation-harness, their embedded items, and the statistics of comparing variants."""
