"""Which languages a request names: in English, in its own language, or by the language's own name.

``translation`` stands for a request to translate, ``language`` for one that leaves the language open: "in her mother
tongue".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from synthetic_instruction_tuner.config.language_names import (
    WORDS,
    english_names,
    names_in,
    own_forms,
    own_names,
    plain,
)
from synthetic_instruction_tuner.config.languages import FURTHER, NAMES, detectable, language_code
from synthetic_instruction_tuner.words import MARKS

TRANSLATION = "translation"
LANGUAGE = "language"
LOOKED_AT = 20_000  # characters
LONGEST = 3  # words of a name
SHORTEST = 4  # letters of a stem
TRANSLATING = re.compile(
    r"\btranslat(?:e|es|ed|ing|ions?)\b|\bhow (?:do|does|would|to|can) .{0,20}say\b|\bconjugat"
    r"|übersetz|tradui|traduct|traduc|traduz|перев[её]д|перевод|перекла|tłumacz|przełóż|přelož|překlad|prelož|vertaal"
    r"|vertal|översätt|oversett|oversæt|käännä|fordít|çevir|dịch|terjemah|μετάφρα|翻译|翻譯|翻訳|訳|번역|แปล|תרגמ|ترجم"
    r"|अनुवाद|অনুবাদ|மொழிபெயர்|అనువ",
    re.IGNORECASE,
)
OPEN = re.compile(
    r"\btransliterat|\bromani[sz]|\b(?:mother |native )?tongues?\b(?! twister)|\b(?:bi|multi|tri)lingual|\bdialects?\b"
    r"|\blocali[sz](?:e|ation)|\bi18n\b|\bnational anthem|\b(?:cyrillic|devanagari|gurmukhi|nastaliq)\b|\bloanwords?\b"
    r"|(?<!programming )(?<!query )(?<!body )(?<!markup )(?<!scripting )(?<!formal )(?<!natural )(?<!machine )"
    r"(?<!modeling )(?<!large )(?<!sign )(?<!coding )(?<!plain )\blanguages?\b(?! models?\b)",
    re.IGNORECASE,
)
MARKED_WORDS = re.compile(rf"(?:[^\W\d_]|[{MARKS}])+")
UNINFLECTED = re.compile("[\u0590-\uffff]")  # scripts whose words are not always separated


def languages_named(text: str, language: str = "en", answered: Iterable[str] = ()) -> list[str]:
    """Returns the codes of the languages that a text names, and ``translation`` or ``language``.

    Args:
        text: the request.
        language: its language, in which names are looked for besides English.
        answered: languages whose own names are looked for.
    """
    text = text[:LOOKED_AT]
    words = [plain(word) for word in WORDS.findall(text)]
    found = _in_english(words, WORDS.findall(text))
    whole = plain(text)
    if language not in ("en", "") and language in detectable():
        found |= {code for code, stem in _stems(language) if _has(stem, words, whole)}
    found |= {code for code in answered if any(_has(_stem(name), words, whole) for name in own_forms(code))}
    found |= {kind for kind, asks in ((TRANSLATION, TRANSLATING), (LANGUAGE, OPEN)) if asks.search(text)}
    return sorted(found)


def by_own_name(text: str) -> list[str]:
    """Returns the codes of all languages that a text names by their own names."""
    text = text[:LOOKED_AT]
    words = [plain(word) for word in WORDS.findall(text)]
    names = own_names()
    spans = {" ".join(words[place : place + size]) for size in (1, 2, 3) for place in range(len(words))}
    return sorted({code for name, code in names.items() if len(name) > 3 and name in spans and name not in _COMMON})


def without_own_names(text: str, languages: Iterable[str]) -> str:
    """Returns a text without words that are these languages' own names, unless it has no other words.

    "Describe a cat in 中文" is in English: the name says what is asked for, not in which language it is asked. English
    names stay: in English, they say both.
    """
    names = {name for code in languages if code != "en" for name in own_forms(code)}
    if not names:
        return text
    rest = MARKED_WORDS.sub(lambda word: "" if plain(word[0]) in names else word[0], text)
    return rest if any(letter.isalpha() for letter in rest) else text


_COMMON = {"kana", "mara", "maa", "akan", "sena", "joola", "kako", "romansh"}


def _in_english(words: list[str], written: list[str]) -> set[str]:
    """Names in English. One that is rare counts only where it is capitalized: "fang" is no language, Fang is one."""
    names, found = english_names(), set()
    for size in range(1, LONGEST + 1):
        for place in range(len(words) - size + 1):
            code = names.get(" ".join(words[place : place + size]))
            if code is not None and (code in _well_known() or written[place][:1].isupper()):
                found.add(language_code(code) or code)
    return found


@cache
def _well_known() -> frozenset[str]:
    return frozenset({*NAMES, *FURTHER, *detectable()})


@cache
def _stems(language: str) -> tuple[tuple[str, str], ...]:
    """The stems of the well-known languages' names in a language, with their codes."""
    names = names_in(language)
    return tuple((code, _stem(plain(names[code]))) for code in sorted(_well_known()) if code in names)


def _stem(name: str) -> str:
    """A name without what inflection changes: ``polsk`` of ``polski``, for "po polsku"."""
    first = name.split()[0] if name else ""
    return first if UNINFLECTED.search(first) else first[: max(SHORTEST, len(first) - 2)]


def _has(stem: str, words: list[str], text: str) -> bool:
    if not stem:
        return False
    return stem in text if UNINFLECTED.search(stem) else any(word.startswith(stem) for word in words)
