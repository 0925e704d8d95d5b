"""Symbols that carry meaning: C++ and C#, 3 + 4 and 3 - 4, 10% and 10, $5 and €5, .5 and 5, < and >.

An operator counts together with what follows it, so that x - 5 + 6 differs from x + 5 - 6; brackets between the two
belong to it. A currency, a percent sign and a decimal point belong to their number. What stands behind a letter (C++,
F#, A-) belongs to the letter. It makes no difference whether spaces surround an operator.

Punctuation is no such symbol, and neither are hyphens, dashes, slashes between words, bullets, rules, emphasis and the
dollars around formulas.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.words import MARKS, UNSPACED_LETTER, WORD

_MATH = "".join(c for c in map(chr, range(0x80, 0x2C00)) if unicodedata.category(c) == "Sm")
_MONEY = "$" + "".join(c for c in map(chr, range(0x80, 0x20D0)) if unicodedata.category(c) == "Sc")
_STRONG = f"+=<>^~|{_MATH}"  # between two words always an operator
_MEANT = frozenset(f"{_STRONG}{_MONEY}%#@°&")
_MEANS = frozenset(f"-*/!&%#@°.:'()[]{_STRONG}{_MONEY}")
_FUNCTIONS = ("sin", "cos", "tan", "log", "ln", "exp", "sqrt")
# What a minus sign or a slash stands before: a number, a letter with an index, a bracket, a function.
_SMALL = rf"(?:\.?\d|\w(?:_?\d+|_\w)?\b|[(\[\\|]|\w+\(|(?:{'|'.join(_FUNCTIONS)})\b)"
_SPACED = re.compile(
    rf" [-*/!&%°{_STRONG}{_MONEY}](?:"
    rf"(?:(?<=[\w)\]'%!|] .)[-*/!&{_STRONG}]{{0,3}}(?:(?<=[{_STRONG}&])|(?<= \*)|(?<=\*\*))"
    rf" {{1,2}}(?=[\w(\[.'\"\\|{_MONEY}-])"
    rf"|(?:(?<=[\d)\]] [-%/])|(?<=\d[\w!] [-%/])|(?<=_\w [-%/])|(?<=\b\w [-%/]))/? {{1,2}}(?={_SMALL})"
    rf"|(?<=\d [%°{_MONEY}])(?!\w)))"
)
_ANY = re.compile(
    rf"[*&%#@°{_STRONG}{_MONEY}]|[.:]\d|\b\w'|\d!|\b[nkm]!|![\w=(]|(?:^|[\W\d]|\b\w)[-/]|[-/](?:[\d(]|\w\b)"
)
_FORMULA = re.compile(r"\$(?=[^\s$])([^$]*[^\s$])\$(?!\d)")
_PIECE = re.compile(rf"{WORD.pattern}|[^\w{MARKS}]+")
_ASCII_PIECE = re.compile(r"\w+|\W+", re.ASCII)
_TAIL = re.compile(rf"[-+]+|#|\*|[%°!{_MONEY}]|'+")  # what can belong to the word before it
_BULLETS = frozenset({*"-*+>|#/&~=", "--", "---", ">>", "||", "##", "###", "->", "=>", "!!", "!!!"})
_RULE = re.compile(r"(.)\1{3,}")
_PICTURES: tuple[tuple[int, int], ...] = ((0x2600, 0x26FF), (0x2705, 0x2705), (0x2708, 0x270F), (0x2728, 0x2728))
_PICTURES += ((0x274C, 0x274E), (0x2753, 0x2757), (0x2763, 0x2767), (0x1F000, 0x1FAFF))
_PICTURE = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in _PICTURES)}]")
NEVER, ALWAYS, NUMBERS, PRIME, BOTH_SMALL, ONE_SMALL = range(6)  # when signs between two words mean something
_SPACE, _POINT, _FIGURE, _SIGN = range(1, 5)


def _kinds() -> npt.NDArray[np.uint8]:
    """For each character what it can be; those beyond are none of it."""
    kinds = np.zeros(0x1FB01, np.uint8)
    kinds[[code for code in range(0x3001) if chr(code).isspace()]] = _SPACE
    kinds[[ord(c) for c in ".:"]] = _POINT
    kinds[[code for code in range(0x3001) if chr(code).isdigit()]] = _FIGURE
    kinds[[ord(c) for c in _MEANS - {*".:()[]"} | {"\0"}]] = _SIGN
    for first, last in _PICTURES:
        kinds[first : last + 1] = _SIGN
    return kinds


_KINDS = _kinds()
_ASCII_KINDS = _KINDS[:256].tobytes()


def close_up(text: str) -> str:
    """Returns the text without the spaces around operators, and before percent and currency signs."""
    return _SPACED.sub(lambda found: found[0].strip(" "), text)


def parts_with_symbols(text: str) -> list[str]:
    """Returns the parts of a text between white space that can have a symbol or a picture, and those that are a NUL."""
    if text.isascii():
        kinds = np.frombuffer(text.encode().translate(_ASCII_KINDS), np.uint8)
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        kinds = _KINDS[np.minimum(codes, len(_KINDS) - 1)]
    spaces = np.flatnonzero(kinds == _SPACE)
    can_be = kinds >= _SIGN
    can_be[:-1] |= (kinds[:-1] == _POINT) & (kinds[1:] == _FIGURE)
    found = np.searchsorted(spaces, np.flatnonzero(can_be))  # for each symbol the space after its part
    found = found[np.diff(found, prepend=-1) != 0]
    starts = np.concatenate(([0], spaces + 1))[found].tolist()
    ends = np.concatenate((spaces, [len(text)]))[found].tolist()
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def symbols_of(part: str) -> list[str]:
    """Returns the symbols in a part of a text between white space, each with what belongs to it.

    Args:
        part: in the normal form of `words.normal_form`, after `close_up`.
    """
    if not _ANY.search(part):
        return []
    if "$" in part:
        part = _FORMULA.sub(r"\1", part)
    pieces: list[str] = (_ASCII_PIECE if part.isascii() else _PIECE).findall(part)
    found, last = [], len(pieces) - 1
    for place, piece in enumerate(pieces):
        first = piece[0]
        if first.isalnum() or first == "_":
            continue
        signs, kind = _signs(piece)
        if not signs:
            continue
        if 0 < place < last:
            symbol = signs + pieces[place + 1]
            if kind != ALWAYS:
                symbol = _between(pieces[place - 1], signs, pieces[place + 1], kind)
        elif place < last:
            symbol = _ahead(signs, pieces[place + 1])
        else:
            symbol = _behind(pieces[place - 1], piece, part) if place else _alone(signs, part)
        if symbol:
            found.append(symbol)
    return found


def pictures_of(part: str) -> list[str]:
    """Returns the emojis and other small pictures in a part of a text."""
    return [] if part.isascii() else _PICTURE.findall(part)


@lru_cache(10_000)
def _signs(piece: str) -> tuple[str, int]:
    """Returns what may mean something in what stands between two words, and when it does; empty for punctuation."""
    signs = "".join(c for c in piece if c in _MEANS)
    core = signs.strip("()[]'")
    if not signs.strip("()[]"):
        return "", NEVER
    if core in (".", ":"):
        return signs, NUMBERS if core == signs else NEVER
    if signs[0] == "'" and "(" in signs:
        return signs, PRIME
    if core in ("-", "-."):
        return signs, BOTH_SMALL
    if core in ("/", "//", "&"):
        return signs, ONE_SMALL
    always = core in ("*", "**", "!-", "!*", "!/") or not _MEANT.isdisjoint(core)
    return signs, ALWAYS if always else NEVER


def _between(before: str, signs: str, after: str, kind: int) -> str:
    """Returns the symbol between two words, where it does not always mean something."""
    if kind == NUMBERS:
        return f"{before}{signs}{after}" if before[-1].isdigit() and after[0].isdigit() else ""
    if kind == PRIME:  # f'(x)
        return before + signs if len(before) == 1 else ""
    if kind == NEVER:
        return ""
    left = signs[0] in ")]" or _is_small(before)
    if (kind == ONE_SMALL and left) or ((kind == ONE_SMALL or left) and (signs[-1] in "([" or _is_small(after))):
        return signs + after
    return ""


def _ahead(signs: str, after: str) -> str:
    core, figure = signs.strip("()[]'.:"), after[0].isdigit()
    if figure and signs[-1:] == "." and signs[-2:-1] != ".":
        return f"{core}0.{after}"
    if core == "-":
        return core + after if _is_small(after) or signs[-1] in "([" else ""
    if core in _MONEY:
        return core + after if core and figure else ""
    return "" if core in ("*", "**", "***", "/", "//", "##", "###", "~~") else core + after


def _behind(before: str, piece: str, part: str) -> str:
    found = _TAIL.match(piece)
    if not found:
        return ""
    sign, letter, figure = found[0], len(before) == 1 and before.isalpha(), before[-1].isdigit()
    match sign[0]:
        case "-":
            belongs = letter
        case "*":
            belongs = letter and part[0] != "*"
        case "'":
            belongs = letter and part[0] == before
        case "!":
            belongs = figure or before in ("n", "k", "m")
        case "+" | "#":
            belongs = True
        case _:
            belongs = figure
    if not belongs:
        return ""
    return sign + before if sign in _MONEY else before + sign


def _alone(signs: str, part: str) -> str:
    core = signs.strip(".:'()[]")
    return "" if part in _BULLETS or _RULE.search(part) or core in ("-", "--", "!", "*", "**") else core


def _is_small(word: str) -> bool:
    """Whether a word is a number, a letter, a letter with an index or a function, as in formulas."""
    if word[0].isdigit() or len(word) == 1:
        return word.isascii() or not UNSPACED_LETTER.match(word)
    return word in _FUNCTIONS or (word[1:].strip("_").isdigit() and word[0].isalpha())
