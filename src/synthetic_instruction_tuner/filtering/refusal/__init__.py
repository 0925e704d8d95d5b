"""The two refusal rules: `form` looks at where and how a response refuses, `keywords` only for phrases.

Imports `config` and `filtering.rule`. Start with `form`. The expressions that it looks for are in `sentences`,
`request` and `patterns`, which takes those of a kind from `impersonal`, `indirect` and `unwilling`; `structure` finds
refusals in other words, by the parts listed in `parts`;
`substance` tells refusals from answers with a disclaimer, and `other_languages` has the forms that are not English.
"""
