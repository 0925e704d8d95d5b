"""The contamination rule: no record may contain an item of a benchmark that the tuned models are evaluated on.

Imports `filtering.rule` and the items of `evaluation.benchmarks`. Start with `rule`; `matching` compares one item with
a text, `one_edit` finds short items that differ from an instruction in one place.
"""
