"""The two refusal rules: `form` looks at where and how a response refuses, `keywords` only for phrases.

Imports `filtering.rule`. Start with `form`; the expressions that it looks for are in `patterns`.
"""
