"""The figures of a run, as PNG and SVG: readable in print, in grey, and by color-blind readers.

May import what `reporting` may. Start with `drawing`, which lists them all; `style` says how every figure looks, and
`scores`, `differences`, `costs`, `data`, `rewards`, `curves` and `agents` draw.
"""
