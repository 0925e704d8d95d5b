"""The report of a run: findings, figures, Markdown and HTML."""
