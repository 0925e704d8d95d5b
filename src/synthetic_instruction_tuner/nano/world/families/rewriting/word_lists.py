"""Families on lists of words: sorting them, reversing them, finding the longest word.

Responses list words with commas or with numbers. The checkers compare the list and leave the words around it free.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from random import Random

from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import WORDS

WORD_LIST = "[a-z]+(?:, [a-z]+){2,7}"
_LETTERS = re.compile(r"[a-z]+")
_COMMA_RUN = re.compile(r"[a-z]+(?:, (?:and )?[a-z]+){2,}")


def list_fault(response: str, given: list[str], expected: list[str]) -> str | None:
    """Returns why a response does not list `expected`; it may repeat `given` before it and name both ends after it."""
    text, known = response.lower(), set(given)
    seen = [w for w in _LETTERS.findall(text) if w in known]
    ends = [expected[0], expected[-1]]
    if all(seen != head + expected + tail for head in ([], given) for tail in ([], ends)):
        return "the list is not the right one"
    for run in _COMMA_RUN.findall(text):
        if not known.issuperset(run.replace("and ", "").split(", ")):
            return "a word in the list does not belong there"
    numbered = re.findall(r"^(\d+)\. (\w+)", text, re.MULTILINE)
    if numbered and numbered != [(str(i), w) for i, w in enumerate(expected, 1)]:
        return "the numbered list is not the right one"
    return None


class _ListFamily(Family):
    domain = "rewriting"
    patterns = {"words": WORD_LIST}
    wordings: tuple[str, ...]

    def fill(self, rng: Random) -> Slots:
        return {"words": ", ".join(rng.sample(WORDS, rng.randint(4, 6)))}

    def solvable(self, slots: Slots) -> bool:
        words = slots["words"].split(", ")
        return len(set(words)) == len(words)

    @abstractmethod
    def solve(self, given: list[str]) -> list[str]:
        """Returns the list as it should become."""

    def answer(self, rng: Random, slots: Slots) -> str:
        given = slots["words"].split(", ")
        expected = self.solve(given)
        return rng.choice(self.wordings).format(
            given=slots["words"],
            result=", ".join(expected),
            lines="\n".join(f"{i}. {w}" for i, w in enumerate(expected, 1)),
            first=expected[0],
            last=expected[-1],
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        given = slots["words"].split(", ")
        return list_fault(response, given, self.solve(given))

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted(slots['words'].split(', '))}"


class SortWords(_ListFamily):
    """Four to six words, sorted alphabetically."""

    name = "sort_words"
    templates = (
        "Sort these words by the alphabet: {words}",
        "Put {words} in alphabetical order.",
        "Can you order the words {words} from a to z?",
        "Arrange alphabetically: {words}",
        "My words are {words}. Which order do they have in a dictionary?",
    )
    wordings = (
        "You gave me the words {given}. In the order of the alphabet, from a to z, they are: {result}.",
        "Here is the sorted list, from a to z:\n{lines}\nSo the first word is {first} and the last word is {last}.",
        "From a to z the words are: {result}. In this order {first} comes before all others and at the "
        "very end comes {last}.",
        "The words were {given}. I looked at how each of them begins, and sorted they are: {result}.",
    )

    def solve(self, given: list[str]) -> list[str]:
        return sorted(given)


class ReverseList(_ListFamily):
    """Four to six words, from last to first."""

    name = "reverse_list"
    templates = (
        "Reverse this list: {words}",
        "Write {words} backwards, word by word.",
        "Turn the list {words} around.",
        "What is {words} in reverse order?",
        "List these from last to first: {words}",
    )
    wordings = (
        "You gave me the words {given}. Read from the last one back to the first one they are: {result}.",
        "Here is the list, turned around:\n{lines}\nNow the word at the front is {first} and the word "
        "at the end is {last}.",
        "In reverse the words are: {result}. So it is now {first} that stands at the front, and at the "
        "end stands {last}.",
        "The words were {given}. I began at the end and went back, and in reverse they are: {result}.",
    )

    def solve(self, given: list[str]) -> list[str]:
        return given[::-1]


class LongestWord(Family):
    """The longest of three or four words, by number of letters."""

    name = "longest_word"
    domain = "rewriting"
    patterns = {"words": WORD_LIST}
    templates = (
        "Which of these words is the longest: {words}?",
        "Find the longest word: {words}",
        "Which word has the most letters, {words}?",
        "Count the letters in {words}. Which one wins?",
        "Tell me the longest of {words}.",
    )
    wordings = (
        "Let us count the letters. {counts}. This shows that the longest of all these words is {result}.",
        "{counts}. I counted the letters of every word, and the one with the most of them is {result}.",
        "I count how many letters there are in each word: {counts}. The longest word of these is {result}.",
        "Here is the number of letters for each: {counts}. No other word is as long, so the answer is {result}.",
    )
    _count = re.compile(r"\b([a-z]+) has (\d+)")

    def fill(self, rng: Random) -> Slots:
        while True:
            slots = {"words": ", ".join(rng.sample(WORDS, rng.randint(3, 4)))}
            if self.solvable(slots):
                return slots

    def solvable(self, slots: Slots) -> bool:
        sizes = sorted(map(len, slots["words"].split(", ")))
        return sizes[-1] > sizes[-2]

    def answer(self, rng: Random, slots: Slots) -> str:
        words = slots["words"].split(", ")
        counts = ", ".join(f"{w} has {len(w)}" for w in words)
        return rng.choice(self.wordings).format(counts=counts, result=max(words, key=len))

    def fault(self, slots: Slots, response: str) -> str | None:
        words = slots["words"].split(", ")
        counts = self._count.findall(response)
        if wrong := next((w for w, n in counts if len(w) != int(n)), None):
            return f"counts the letters of {wrong} wrongly"
        if counts and [w for w, _ in counts] != words:
            return "does not count the given words"
        if len(re.findall(r"\d+", response)) != len(counts):
            return "a count without its word"
        seen = [w for w in _LETTERS.findall(response.lower()) if w in words]
        if not seen or seen[-1] != max(words, key=len) or len(seen) != len(counts) + 1:
            return "does not name the longest word"
        return None

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted(slots['words'].split(', '))}"


FAMILIES: tuple[Family, ...] = (SortWords(), ReverseList(), LongestWord())
