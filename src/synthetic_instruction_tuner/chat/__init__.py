"""Conversations to token ids, for any model."""
