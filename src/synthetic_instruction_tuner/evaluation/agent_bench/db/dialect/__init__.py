"""MySQL's language for SQLite: statements are translated, and what they call is computed as MySQL does.

May import what `agent_bench` may. Start with `translation`; `syntax` refuses what MySQL refuses, `expressions` and
`changes` rewrite, and `functions`, with `texts`, `numbers` and `dates`, is what the rewritten statements call.
"""
