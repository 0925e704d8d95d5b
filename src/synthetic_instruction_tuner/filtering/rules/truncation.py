"""The rule on truncated texts: cut off at the token limit or, where that is not known, in mid-sentence or mid-code.

A record's finish reason decides if there is one. Otherwise only clear cases count as truncated: a code fence that is
never closed, and prose whose last sentence stops at a comma, at a word such as "the" or, in longer texts, without a
full stop although all sentences before it have one. Lists, poems, names, numbers and short answers may end in any way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.filtering.rules.markdown import ends_within_fence
from synthetic_instruction_tuner.records import Record

CUT = {"length", "max_tokens", "max_length", "token_limit"}
FEWEST_WORDS = 15  # shorter responses may end in any way
LONG_WORDS = 50  # from this length on, a last sentence without a full stop counts as truncated
PROSE_WORDS = 6
SENTENCE_WORDS = 8
LOOKED_AT = 20_000  # characters from the end; fences are counted from the start
_GOES_ON = """
a an the of to and or but nor with by from as at into onto upon than because although while whereas if unless until
since per via its their our your my his whose which who whom is are was were be been being has have had can could will
would shall should may might must such very every each between among during without within toward towards about
through these those including like so when where what how not also both either neither
"""
GOES_ON = frozenset(_GOES_ON.split())
# Such a word may still close a question or clause whose object has moved to its front ("which people do you travel
# with"), or whose verb stands for a longer one ("as fast as you can", "what it is").
STRANDED = {
    "to",
    "of",
    "with",
    "by",
    "from",
    "at",
    "into",
    "onto",
    "through",
    "about",
    "without",
    "within",
    "for",
    "on",
    "in",
}
STANDS_FOR_MORE = {
    "is",
    "are",
    "was",
    "were",
    "be",
    "has",
    "have",
    "had",
    "can",
    "could",
    "will",
    "would",
    "should",
    "may",
}
SUBJECTS = {"i", "you", "he", "she", "it", "we", "they", "this", "that", "there"}
FRONTED = re.compile(r"\b(?:who|whom|whose|which|what|where|how|than|as)\b", re.IGNORECASE)
ENDS = re.compile(r"[.!?…。！？؟।:;)\]}>\"'”’»*_`|~$%0-9]\W*$")
SENTENCE_END = re.compile(r"[.!?…]['\"”’)*_]*(?=\s|$)")
NOT_PROSE = re.compile(
    r"^\s*(?:[-*+•#>|]|\d+[.)])|[{}=<>|\\;]|^\s{4}|^\s*(?:def|class|import|from|return|for|if|while|else|elif)\b"
)
NO_END = re.compile(r"[^\W_]$")


@dataclass(frozen=True)
class NotTruncated(TextRule):
    """Neither instruction nor response may be truncated."""

    name: ClassVar[str] = "truncated"
    version: ClassVar[int] = 4

    def signal(self, record: Record) -> list[str] | None:
        """Returns which text is truncated, and how that is known; None where none is."""
        for part in ("instruction", "response"):
            if finish_reason(record, part) in CUT:
                return [part, "hit its token limit"]
        if finish_reason(record, "response") is None and (how := how_cut(record.response)):
            return ["response", how]
        return None

    def decide(self, signal: list[str] | None) -> Verdict:
        """Drops truncated records."""
        if signal is None:
            return Verdict(self.name, True, None, None)
        part, how = signal
        return Verdict(self.name, False, f"{part}: {how}", None, f"the {part} {how}")


def finish_reason(record: Record, part: str) -> str | None:
    """Returns why a record's ``instruction`` or ``response`` ended, in lower case, if the record says so."""
    provenance = record.provenance
    fields = provenance.get("fields")
    value: Any = provenance.get(f"{part}_finish")
    if value is None and part == "response":
        places = (provenance, fields if isinstance(fields, dict) else {})
        value = next((p[k] for p in places for k in ("finish_reason", "stop_reason") if p.get(k)), None)
    return value.lower() if isinstance(value, str) and value else None


def how_cut(text: str) -> str | None:
    """Returns how a text shows that it is truncated, or None."""
    if ends_within_fence(text):
        return "ends within a code fence"
    text = text[-LOOKED_AT:].rstrip()
    if len(text.split()) < FEWEST_WORDS or "```" in text[-5:]:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    last, words = lines[-1], lines[-1].split()
    if len(words) < PROSE_WORDS or NOT_PROSE.search(last) or len(SENTENCE_END.findall(text)) < 2:
        return None
    word = words[-1].lower().strip("\"'“”‘’(")
    sentence = SENTENCE_END.split(last)[-1].rstrip()
    if word.endswith(",") or (word in GOES_ON and not _may_close(sentence)):
        return f"stops in mid-sentence, at '{shorten(words[-1], 30)}'"
    open_end = NO_END.search(last) and not ENDS.search(last)
    if not open_end or len(text.split()) < LONG_WORDS or len(sentence.split()) < SENTENCE_WORDS:
        return None
    others = [line for line in lines[:-1] if len(line.split()) >= PROSE_WORDS and not NOT_PROSE.search(line)]
    always = len(SENTENCE_END.findall(text)) >= 3 and all(ENDS.search(line) for line in others)
    return f"stops in mid-sentence, at '{shorten(words[-1], 30)}'" if always else None


def _may_close(sentence: str) -> bool:
    """Returns whether a sentence may end with its last word, although more usually follows that word."""
    before, last = ["", "", *sentence.lower().split()][-2:]
    fits = last in STRANDED or (last in STANDS_FOR_MORE and before in SUBJECTS)
    return fits and FRONTED.search(sentence.rpartition(" ")[0]) is not None
