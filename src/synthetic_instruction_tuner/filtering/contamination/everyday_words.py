"""Words that say little about what a text is about, and the others, its content. English only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ENGLISH = 0.15  # share of everyday words that are English alone; the four benchmarks have 0.27 to 0.31
_EVERYDAY = """
a an the of to in on at by for with from as and or not no nor if then than that this these those it its is are was
were be been being am do does did done have has had having can could will would shall should may might must i you he
she we they me him her us them my your his our their who whom whose which what when where why how there here all any
each every some most more many much few other another such only own same so too very just also about into over after
before between out up down off again both one two first second following statement statements true false correct
incorrect best answer answers question questions choose select option options please write give tell explain describe
list name example examples make use using used called based
"""
EVERYDAY = frozenset(_EVERYDAY.split())


def content_of(words: Sequence[str]) -> tuple[str, ...]:
    """Returns the words that are no everyday words."""
    return tuple(word for word in words if word not in EVERYDAY)


def is_english(texts: Iterable[Sequence[str]]) -> bool:
    """Returns whether a good part of the texts' words are everyday words.

    Short ones ("in", "an", "so") and "was" and "will" are words of other languages too.

    Args:
        texts: each text's words.
    """
    words = [word for text in texts for word in text]
    return sum(len(w) > 2 and w in EVERYDAY and w not in ("was", "will") for w in words) >= ENGLISH * len(words)
