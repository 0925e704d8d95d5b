"""Instruction-response records out of nothing but a chat model."""
