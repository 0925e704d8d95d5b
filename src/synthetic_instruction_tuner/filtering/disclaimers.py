"""Counts the answers that have a disclaimer ("As an AI ..., however, here is ..."), for the filter report."""

from __future__ import annotations

from collections.abc import Iterable

from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.filtering.refusal.form import DISCLAIMER, RefusalForm
from synthetic_instruction_tuner.filtering.rule import FilterResult, Verdict


def is_disclaimer(verdict: Verdict) -> bool:
    """Returns whether a verdict says that an answer has a disclaimer, which is not a refusal."""
    return verdict.rule == RefusalForm.name and str(verdict.value or "").startswith(f"{DISCLAIMER}: ")


def count_disclaimers(results: Iterable[FilterResult], config: FilterConfig) -> int | None:
    """Returns how many responses have a disclaimer and answer; None where no rule tells them from refusals."""
    if config.refusal_rule != "form" or not config.refusal_phrases:
        return None
    return sum(any(map(is_disclaimer, result.verdicts)) for result in results)


def disclaimer_note(count: int, setting: str) -> str:
    """Returns a sentence on the count.

    Args:
        count: at least one.
        setting: `FilterConfig.refusal_disclaimers`.
    """
    one = "1 response has" if count == 1 else f"{count:,} responses have"
    done = "the rule refusal keeps" if setting == "keep" else "the rule refusal drops"
    them = "it" if count == 1 else "them"
    return f"{one} a disclaimer before the answer; {done} {them} (filter.refusal_disclaimers={setting})."
