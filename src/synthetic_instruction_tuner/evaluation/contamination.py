"""Which items of a benchmark a model has read in training: whole, whatever polite words are around them.

An item counts as read when its words stand in a training text from the start of a sentence to the end of one.
Greetings, thanks and what leads to a task ("A question for you:") belong to neither. Similar items do not count: in the
embedded models' world all tasks of a kind are alike but for a word. The filter's rule on contamination also finds items
that are edited or cut; a run asks it too, for public benchmarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.benchmarks.base import Item
from synthetic_instruction_tuner.words import words_of

SENTENCE = re.compile(r"[.!?:;\n\r¡¿…。！？：；]+")
COMMA = re.compile(r"[,，、،]")
SHORTEST = 3  # words: a shorter item is only looked for as a whole text

POLITE = frozenset(
    [
        "hi",
        "hello",
        "hey",
        "greetings",
        "dear",
        "please",
        "kindly",
        "thanks",
        "thank",
        "cheers",
        "thx",
        "welcome",
        "sorry",
        "hola",
        "gracias",
        "favor",
        "bonjour",
        "salut",
        "merci",
        "hallo",
        "danke",
        "bitte",
        "ciao",
        "grazie",
        "prego",
        "salve",
        "olá",
        "oi",
        "obrigado",
        "obrigada",
        "привет",
        "здравствуйте",
        "спасибо",
        "пожалуйста",
        "请",
        "您",
        "谢",
    ]
)
"""Words that say nothing about a task, wherever they stand at its edge."""
FILLING = frozenset(
    [
        "there",
        "you",
        "all",
        "everyone",
        "again",
        "good",
        "morning",
        "afternoon",
        "evening",
        "day",
        "so",
        "very",
        "much",
        "a",
        "lot",
        "in",
        "advance",
        "for",
        "your",
        "the",
        "my",
        "is",
        "it",
        "this",
        "here",
        "one",
        "an",
        "i",
        "have",
        "need",
        "some",
        "help",
        "with",
        "time",
        "take",
        "next",
        "quick",
        "small",
        "little",
        "short",
        "question",
        "task",
        "notes",
        "quiz",
        "assistant",
        "sir",
        "madam",
        "friend",
        "everybody",
        "can",
        "could",
        "would",
        "me",
        "us",
        "to",
        "ask",
        "know",
        "dias",
        "días",
        "buenos",
        "guten",
        "tag",
        "abend",
        "il",
        "vous",
        "plaît",
        "por",
        "und",
        "et",
        "y",
        "e",
        "你",
        "好",
        "们",
    ]
)
"""Words of sentences that are nothing but polite, or that lead to the task."""
LONGEST_COURTESY = 8  # words


@dataclass(frozen=True, slots=True)
class _Words:
    """A text's words, with the places at which a sentence's task may start and end, courtesies apart."""

    words: tuple[str, ...]
    starts: frozenset[int]
    ends: frozenset[int]


class ItemSearch:
    """Finds a benchmark's items in training texts.

    Args:
        items: the benchmark's items.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._whole: dict[tuple[str, ...], list[str]] = {}
        self._by_start: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
        for item in items:
            for text in asked(item):
                task = task_words(text)
                self._whole.setdefault(task, []).append(item.id)
                if len(task) >= SHORTEST:
                    self._by_start.setdefault(task[:SHORTEST], []).append((task, item.id))

    def found(self, texts: Iterable[str]) -> set[str]:
        """Returns the ids of the items that occur in the texts."""
        return {name for text in texts for name in self._in(text)}

    def _in(self, text: str) -> Iterator[str]:
        yield from self._whole.get(task_words(text), ())
        read = _read(text)
        for start in read.starts:
            for task, name in self._by_start.get(read.words[start : start + SHORTEST], ()):
                end = start + len(task)
                if end in read.ends and read.words[start:end] == task:
                    yield name


def asked(item: Item) -> tuple[str, ...]:
    """Returns the texts of an item that are looked for: all turns of MT-Bench's, the first of any other."""
    return getattr(item, "turns", None) or (item.prompt,)


def task_words(text: str) -> tuple[str, ...]:
    """Returns a text's words without the courtesies at its start and end; all of its words where nothing else is."""
    sentences = _sentences(text)
    kept = list(sentences)
    while kept and _is_courtesy(kept[0]):
        kept.pop(0)
    while kept and _is_courtesy(kept[-1]):
        kept.pop()
    words = [word for sentence in kept for word in sentence]
    while words and words[0] in POLITE:
        words.pop(0)
    while words and words[-1] in POLITE:
        words.pop()
    return tuple(words) or tuple(word for sentence in sentences for word in sentence)


def _read(text: str) -> _Words:
    words: list[str] = []
    starts, ends = set(), set()
    for sentence in _sentences(text):
        first, last = len(words), len(words) + len(sentence)
        words += sentence
        starts.add(first)
        while first < last and words[first] in POLITE:
            first += 1
            starts.add(first)
        ends.add(last)
        while last > first and words[last - 1] in POLITE:
            last -= 1
            ends.add(last)
    return _Words(tuple(words), frozenset(starts), frozenset(ends))


def _sentences(text: str) -> list[tuple[str, ...]]:
    """Returns the words of each sentence; a courtesy before or after a comma is a sentence of its own."""
    found = []
    for part in SENTENCE.split(text):
        clauses = [words for clause in COMMA.split(part) if (words := words_of(clause))]
        first, last = 0, len(clauses)
        while last - first > 1 and _is_courtesy(clauses[first]):
            first += 1
        while last - first > 1 and _is_courtesy(clauses[last - 1]):
            last -= 1
        whole = tuple(word for clause in clauses[first:last] for word in clause)
        found += [*clauses[:first], *([whole] if whole else []), *clauses[last:]]
    return found


def _is_courtesy(sentence: Sequence[str]) -> bool:
    """Whether a sentence says nothing about a task: a greeting, thanks, or words that lead to it."""
    return len(sentence) <= LONGEST_COURTESY and all(word in POLITE or word in FILLING for word in sentence)
