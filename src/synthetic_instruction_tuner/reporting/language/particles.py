"""Korean particles, whose form depends on the last sound of the word before them.

A table writes both forms, as Korean forms with blanks do: ``은(는)``, ``이(가)``, ``을(를)``, ``과(와)``, ``(으)로``.
The one that fits is chosen when what stands before is known: 모델은, SFT는, 3을, 12%로. Behind brackets the word before
them counts. Where no one knows how a word is read, both forms stay.
"""

from __future__ import annotations

import re
from typing import Literal

Sound = Literal["vowel", "l", "consonant", "unknown"]

FORMS = {  # after a consonant, after a vowel
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "(이)라": ("이라", "라"),
    "(으)로": ("으로", "로"),
}
_FORM = re.compile("|".join(map(re.escape, FORMS)))
_CITED = re.compile(r"\s*\[[^][]*(?:\\\[[^][]*\\\][^][]*)?\]\([^()]*\)$")  # a reference's number with its link
_BRACKETS = re.compile(r"\s*\([^()]*\)$")
_SILENT = re.compile(r"[\s*`\"'“”‘’\\\])>_.,:;…]+$")
_WORD = re.compile(r"[A-Za-z]+$")

_DIGITS: dict[str, Sound] = {"0": "consonant", "1": "l", "2": "vowel", "3": "consonant", "4": "vowel"}  # 영 일 이 삼 사
_DIGITS |= {"5": "vowel", "6": "consonant", "7": "l", "8": "l", "9": "vowel"}  # 오 육 칠 팔 구
_SIGNS: dict[str, Sound] = {"%": "vowel", "Δ": "vowel", "°": "vowel", "+": "vowel"}  # 퍼센트, 델타, 도, 플러스
_SPELLED: dict[str, Sound] = {"L": "l", "R": "l", "M": "consonant", "N": "consonant"}  # 엘, 알, 엠, 엔; else a vowel
_L_ENDING = re.compile(r"(?:l|[^aeiouy]le)$")  # model, table: 모델, 테이블
_CONSONANT_ENDING = re.compile(r"(?:[mn]|ng|[aeiou][mn]e|ck?|[aeiou]p)$")  # token, tuning, name, public, step


def with_particles(before: str, text: str) -> str:
    """Returns `before` and `text` together, with each particle of `text` in the form that fits.

    Args:
        before: what stands before; it is not changed, whatever it contains.
        text: a part of a sentence, in which particles have both forms.
    """
    made, end = before, 0
    for found in _FORM.finditer(text):
        made += text[end : found.start()]
        end = found.end()
        made += fitting(made, found[0])
    return made + text[end:]


def fitting(before: str, form: str) -> str:
    """Returns the form of a particle, one of `FORMS`, that fits what stands before it."""
    sound = last_sound(before)
    if sound == "unknown":
        return form
    closed, opened = FORMS[form]
    return opened if sound == "vowel" or (sound == "l" and form == "(으)로") else closed


def last_sound(text: str) -> Sound:
    """Returns how the last word of a text ends when it is read in Korean; ``l`` is the consonant ㄹ."""
    shown = _bare(text)
    last = shown[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "vowel" if not final else "l" if final == 8 else "consonant"
    if last in _DIGITS:
        return _DIGITS[last]
    if last in _SIGNS:
        return _SIGNS[last]
    word = _WORD.search(shown)
    return _of_latin(word[0]) if word else "unknown"


def _bare(text: str) -> str:
    """Returns a text without what is not read at its end: brackets and what is in them, quotes, marks of emphasis."""
    shown = text
    while True:
        shorter = _BRACKETS.sub("", _CITED.sub("", shown))
        if shorter == shown:
            shorter = _SILENT.sub("", shown)
        if shorter == shown or not shorter:
            return shown
        shown = shorter


def _of_latin(word: str) -> Sound:
    """An abbreviation is spelled, a word is read."""
    if word[-1].isupper() and word != "LoRA":
        return _SPELLED.get(word[-1], "vowel")
    lower = word.lower()
    if _L_ENDING.search(lower):
        return "l"
    return "consonant" if _CONSONANT_ENDING.search(lower) else "vowel"
