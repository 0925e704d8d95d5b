"""The two refusal rules: `form` looks at where and how a response refuses, `keywords` only for phrases.

Imports `config` and `filtering.rule`. Start with `form`. The expressions that it looks for are in `sentences`,
`request` and `patterns`; `substance` tells refusals from answers with a disclaimer.
"""
