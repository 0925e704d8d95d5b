"""Training on packed texts: the texts of a step in rows without padding, and nothing kept that is cheap to compute.

May import what `training` may. Start with `choice`, which says whether a training goes this way, then `steps`, `packs`
(the layout), `decoder` (the pass) and `recomputed_linears`.
"""
