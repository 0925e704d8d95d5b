"""The two refusal rules: `form` looks at where and how a response refuses, `keywords` only for phrases.

Imports `config` and `filtering.rule`. Start with `form`; `sentences`, `request` and `patterns` have the expressions that
it looks for, `substance` tells refusals from answers with a disclaimer.
"""
