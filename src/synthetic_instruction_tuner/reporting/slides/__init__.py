"""The run's slides: Markdown from a template, and the same slides as native text and tables for PowerPoint.

May import what `reporting` may. Start with `writing`; `deck` reads the Markdown, `fitting` and `tables` make texts fit
their boxes, and `powerpoint` sets them.
"""
