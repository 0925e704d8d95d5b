"""Finding loops: the longest run of a word, a line or a phrase, and the share of words in repeated n-grams."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice, pairwise

from synthetic_instruction_tuner.filtering.rules.markdown import lines_of
from synthetic_instruction_tuner.filtering.rules.notation import counted, is_meant, is_wrapped, signs
from synthetic_instruction_tuner.words import MARKS, UNSPACED_LETTER, UNSPACED_RUN

PUNCTUATION = ".,;:!?\"'`()[]{}<>*_~…“”„‘’‚«»‹›¡¿、。，！？；：（）「」『』《》"
LONGEST_PHRASE = 40  # words
LONG_LINE = 12  # words; a shorter line in a fence may be what a program prints
FOUR = 4  # words of the shortest n-grams that are compared: three times two words hold one of them twice
NGRAM = 8  # words; shorter ones recur in good texts, too
SUNG = 8  # times in a row that a syllable without meaning is sung or laughed, as in "la la la"
_SYLLABLES = """
la na da ha he hi ho hee heh hoo oh ooh ah aah uh eh hey yeah doo dum di du dee ba bum boo bop sha shoo woo wow tra fa
ta tum ra tick tock knock beep boop dit dah ti ti-ti do re mi fa sol so mm hmm woof meow moo baa buzz ding dong bang
boom pow clap stomp kick snare quack oink ribbit chirp honk vroom choo chug thump splash shh hush tut dun nah wah yah
"""
SYLLABLES = frozenset(_SYLLABLES.split()) | frozenset("哈呵嘿嘻啦呀哦噢嗯ハははﾊわ")
LITERALS = frozenset(("null", "none", "nil", "nan", "true", "false", "undefined", "inf", "void"))
_WORD = re.compile(rf"[^\W\d_](?:[{MARKS}]|[^\W\d_]|['’-](?=[^\W\d_]))*")
_TIMES = re.compile(r"\b\d{2,3}\b")
_ONE_LETTER = re.compile(r"(.)\1{2,}")
_WITHIN = re.compile(r"(.{1,4}?)\1{3,}")  # of letters without spaces
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_PIECES = re.compile(rf"{UNSPACED_LETTER.pattern}[{MARKS}]*|(?:(?!{UNSPACED_LETTER.pattern})\w)+")
BREAK = ""  # ends a run of words


def longest_word_run(text: str, asked: str = "") -> tuple[int, str]:
    """Returns the length of the longest run of one word, and the word; ``(0, "")`` where there is no word.

    Args:
        text: the text.
        asked: its request; a run that it asks for ("hello five times", "the sentence 'go go go'") is none.
    """
    tokens = [token.strip(PUNCTUATION) for token in text.casefold().split()]
    spaced = text.isascii() or not UNSPACED_LETTER.search(text)
    if spaced and not any(a == b and a for a, b in pairwise(tokens)):  # as in most texts
        first = next(filter(is_word, tokens), "")
        return int(bool(first)), first
    items: list[str] = []
    within = 0, ""
    for line in lines_of(text):
        if not line.is_data:
            items += _without_meant(list(_words_and_breaks(line.text)), line.text, asked)
        elif line.is_talk:
            items += [BREAK, *_without_meant(list(_words_and_breaks(line.text)), line.text, asked), BREAK]
        elif items and items[-1] != BREAK:
            items.append(BREAK)
    if not spaced:
        within = max((_run_within(item) for item in items), key=lambda run: run[0], default=within)
    beside = longest_run(_without_singing(items))
    return within if within[0] > beside[0] else beside


def _words_and_breaks(line: str) -> Iterator[str]:
    """Yields the words of a line, and a break for each token that is none."""
    if "<" in line:
        line = _TAG.sub(" 0 ", line)
    raw = line.split()
    tokens = [token.strip(PUNCTUATION) for token in raw]
    for token, written, sign in zip(tokens, raw, signs(tokens), strict=True):
        word = token.casefold()
        if UNSPACED_LETTER.search(word):
            yield from UNSPACED_RUN.findall(word)
        else:
            yield word if is_word(word) and not sign and not is_wrapped(written) else BREAK


def _without_meant(items: list[str], line: str, asked: str) -> list[str]:
    """Returns the items of a line; a run that is meant as it is written stands for one word.

    So does a run of as many as the line says: "five: five five five five five".
    """
    if not any(a == b and a for a, b in pairwise(items)):
        return items
    written = (_TAG.sub(" 0 ", line) if "<" in line else line).split()
    runs = [list(run) for _, run in groupby(items)]
    numbers, requests = counted(line), _words(asked)
    kept: list[str] = []
    for place, run in enumerate(runs):
        start = sum(map(len, runs[:place]))
        before, after = runs[place - 1] if place else [], runs[place + 1] if place + 1 < len(runs) else []
        meant = len(run) > 2 and (len(run) in numbers or _is_asked(run, asked, requests))
        if not meant and len(run) > 2 and len(written) == len(items):
            tokens = [token.strip(PUNCTUATION) for token in written]
            sides = (tokens[start - len(before) : start], tokens[start + len(run) : start + len(run) + len(after)])
            meant = bool(run[0]) and is_meant(written[start : start + len(run)], *sides)
        kept += [run[0], BREAK] if meant else run
    return kept


def _is_asked(run: list[str], asked: str, words: list[str]) -> bool:
    """Whether a request has the run itself, or has its word and how often it is wanted."""
    if run[0] not in words:
        return False
    most = max(sum(1 for _ in same) for word, same in groupby(words) if word == run[0])
    return most >= len(run) or len(run) in {*counted(asked), *map(int, _TIMES.findall(asked))}


def _words(text: str) -> list[str]:
    return [token.strip(PUNCTUATION) for token in text.casefold().split()]


def _run_within(letters: str) -> tuple[int, str]:
    """Returns how often a word of a script without spaces follows itself; two equal letters count as one word."""
    best = 0, ""
    for found in _WITHIN.finditer(letters) if UNSPACED_LETTER.match(letters) else ():
        word = found[1]
        times = len(found[0]) // max(len(word), 2)
        if times > best[0] and (word not in SYLLABLES or len(found[0]) > SUNG):
            best = times, word
    return best


def _without_singing(items: list[str]) -> list[str]:
    """Returns the items with short runs of one syllable left out."""
    if SYLLABLES.isdisjoint(items):
        return items
    kept: list[str] = []
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end] != items[start]:
            sung = items[start] in SYLLABLES and end - start <= SUNG
            kept += items[start : start + 1] if sung else items[start:end]
            start = end
    return kept


def is_word(token: str) -> bool:
    """Whether a token, case-folded and without punctuation around it, is a word of letters that can be in a loop."""
    return (token.isalpha() or _WORD.fullmatch(token) is not None) and not (
        token in LITERALS or (len(token) > 2 and _ONE_LETTER.fullmatch(token))
    )


def longest_run(items: list[str]) -> tuple[int, str]:
    """Returns the length of the longest run of equal items that contain a letter or digit, and the item.

    The first of equally long runs wins; a list without such an item gives ``(0, "")``.
    """
    # Equal neighbors are rare: finding them first keeps the loop over all words in C.
    equal = [i for i, (a, b) in enumerate(pairwise(items), 1) if a == b]
    best, where, run, last = 0, 0, 1, -1
    for i in equal:
        run = run + 1 if i == last + 1 else 2
        last = i
        if run > best and has_letter(items[i]):
            best, where = run, i
    if best:
        return best, items[where]
    first = next((item for item in items if has_letter(item)), "")
    return (1, first) if first else (0, "")


def longest_phrase_run(words: list[str]) -> tuple[int, str]:
    """Returns how often the most repeated phrase of 2 to 40 words occurs in a row, and the phrase.

    A single repeated word is not a phrase. ``(1, "")`` where no phrase occurs three times in a row.
    """
    best, phrase = 1, ""
    for period in _distances(words):
        run = start = 0
        for place, same in enumerate(map(operator.eq, words, islice(words, period, None))):
            if same:
                start = start if run else place
                run += 1
            elif run:
                best, phrase = _better(words, start, run, period, best, phrase)
                run = 0
        best, phrase = _better(words, start, run, period, best, phrase)
    return best, phrase


def _distances(words: list[str]) -> list[int]:
    """Returns how far apart equal four-grams are: a phrase that is there three times has some at its length."""
    places: dict[tuple[str, ...], list[int]] = {}
    found: set[int] = set()
    for place, gram in enumerate(zip(*(islice(words, k, None) for k in range(FOUR)), strict=False)):
        earlier = places.setdefault(gram, [])
        if earlier:
            found.update(place - one for one in earlier[-LONGEST_PHRASE:])
        earlier.append(place)
    return sorted(period for period in found if 1 < period <= LONGEST_PHRASE)


def _better(words: list[str], start: int, run: int, period: int, best: int, phrase: str) -> tuple[int, str]:
    times = run // period + 1
    part = words[start : start + period]
    better = times > max(best, 2) and len(set(part)) > 1 and not _all_numbers(part)
    return (times, " ".join(part)) if better else (best, phrase)


def repeated_share(words: list[str]) -> float:
    """Returns the share of the words that are in an 8-gram that occurred before, 0..1."""
    covered = until = 0
    for place, seen in enumerate(_seen_before(words, NGRAM)):
        if seen and not _all_numbers(words[place : place + NGRAM]):
            covered += place + NGRAM - max(place, until)
            until = place + NGRAM
    return covered / len(words) if words else 0.0


def _seen_before(words: list[str], size: int) -> list[bool]:
    """Returns for each n-gram, in order, whether it occurred before."""
    found: set[tuple[str, ...]] = set()
    result = []
    for gram in zip(*(islice(words, k, None) for k in range(size)), strict=False):
        result.append(gram in found)
        found.add(gram)
    return result


@lru_cache(8)
def may_repeat(text: str, size: int) -> bool:
    """Whether an n-gram of this many words can occur twice: it cannot where none of all tokens with a letter does."""
    if not text.isascii() and UNSPACED_LETTER.search(text):
        return True
    if size > FOUR and not may_repeat(text, FOUR):
        return False
    return any(_seen_before(_tokens(text), size))


@lru_cache(4)
def _tokens(text: str) -> list[str]:
    """The tokens of a text with a letter or digit. Several rules ask for those of the same text."""
    return [word for raw in text.casefold().split() if has_letter(word := raw.strip(PUNCTUATION))]


def _all_numbers(words: Sequence[str]) -> bool:
    return not any((is_word(word) and len(word) > 1) or UNSPACED_LETTER.match(word) for word in words)


@lru_cache(4)
def plain_words(text: str) -> list[str]:
    """Returns the words with a letter or digit, case-folded, without surrounding punctuation.

    Letters of scripts without spaces are words. A line of code or data is one word, and none where it has no letter.
    """
    words: list[str] = []
    for line in lines_of(text):
        folded = line.text.casefold()
        if line.is_data and not (line.is_talk and len(folded.split()) >= LONG_LINE):
            words += [f"{{{folded.strip()}}}"] if has_letter(folded) else []
        elif UNSPACED_LETTER.search(folded):
            for part in folded.split():
                words += _PIECES.findall(part)
        else:
            words += [word for raw in folded.split() if has_letter(word := raw.strip(PUNCTUATION))]
    return words


def has_letter(text: str) -> bool:
    """Whether there is a letter or digit."""
    return text.isalnum() or any(c.isalnum() for c in text)
