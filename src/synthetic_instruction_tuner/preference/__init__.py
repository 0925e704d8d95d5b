"""Preference pairs: answers, reward scores, and what the pairs are like."""
