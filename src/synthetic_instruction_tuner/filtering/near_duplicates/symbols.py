"""Symbols that carry meaning: C++ and C#, 3 + 4 and 3 - 4, 10% and 10, $5 and €5, [1, 2] and {1, 2}, < and >.

An operator counts together with what follows it, so that x - 5 + 6 differs from x + 5 - 6; brackets between the two
belong to it. A currency, a percent sign and a decimal point belong to their number. What stands behind a letter or a
name (C++, F#, A-, HEAD~) belongs to it. Square and curly brackets count around numbers, letters, quotations and lists.
It makes no difference whether spaces surround an operator. A sign right before a word (.NET, $PATH, *args), and the
ending of a file's or a library's name (Node.js), belong to it.

Punctuation is no such symbol, and neither are quotation marks, parentheses around words, hyphens, dashes, slashes and
periods between words, bullets, rules, emphasis, and what surrounds formulas and groups in LaTeX.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from synthetic_instruction_tuner.words import MARKS, UNSPACED_LETTER, WORD

MATH = "".join(c for c in map(chr, range(0x80, 0x2C00)) if unicodedata.category(c) == "Sm") + "⌈⌉⌊⌋⟨⟩"
MONEY = "$" + "".join(c for c in map(chr, range(0x80, 0x20D0)) if unicodedata.category(c) == "Sc")
UNITS, FLATS = "%°‰‱٪", "♭♮"
OPERATORS = f"+=<>^~|{MATH}"  # between two words always operators
STRONG = f"{OPERATORS}{MONEY}{UNITS}{FLATS}#@&[]{{}}"  # may mean something wherever they stand
WEAK = "-*/\\!·"  # may mean something by what is beside them
POINTS = ".:'?"  # the same, but never with a space between
_MEANT = frozenset(STRONG) - frozenset("[]{}")
_MEANS = frozenset(f"{STRONG}{WEAK}{POINTS}()")
_BRACKETS = "()[]{}'"
SUFFIXES = frozenset(  # what a name ends with behind a period; other periods within words are punctuation
    (
        "js",
        "ts",
        "jsx",
        "tsx",
        "net",
        "py",
        "rb",
        "rs",
        "cs",
        "cpp",
        "java",
        "html",
        "css",
        "json",
        "yaml",
        "xml",
        "csv",
    )
)
_FUNCTIONS = ("sin", "cos", "tan", "log", "ln", "exp", "sqrt")
# What a minus sign or a slash stands before: a number, a letter with an index, a bracket, a function.
_SMALL = rf"(?:\.?\d|\w(?:_?\d+|_\w)?\b|[(\[{{\\|]|\w+\(|(?:{'|'.join(_FUNCTIONS)})\b)"
_SPACED = re.compile(  # begins with a space everywhere: so it is found fast
    rf" (?:[-*/!&·{UNITS}{OPERATORS}{MONEY}](?:"
    rf"(?:(?<=[\w)\]}}'\"`%!|] .)[-*/!&{OPERATORS}]{{0,3}}(?:(?<=[{OPERATORS}&])|(?<= \*)|(?<=\*\*))"
    rf" (?=[\w(\[{{.'\"`\\|{MONEY}-])"
    rf"|(?:(?<=[\d)\]] [-%/·])|(?<=\d[\w!] [-%/·])|(?<=_\w [-%/·])|(?<=\b\w [-%/·]))/? (?={_SMALL})"
    rf"|(?<=\d [{UNITS}{MONEY}])(?!\w)(?: (?<=° )(?=[cfk]\b))?))"
    rf"|(?=\.?\d)(?<=[{MONEY}] )(?<![^\s(]..)(?<!\d .. )"  # $ 5
    r"|(?=[cfk]\b)(?<=° )"
    r"|(?=\d)(?:(?<=[=<>+*/(,] - )|(?<=\d[-+*/] ))"  # x = - 5, 3+ 5
    r"|(?=[*/]\d)(?<=\d )"
    r"|(?=-?\d|-?[a-z]\b)(?<=[\w)\]][=<>] )"  # x= 5
    r"|(?=[^\s\]}])(?<=[\[{] )|(?=[\]}])(?<=[^\s\[{] ))"
)
_NAMED = re.compile(
    r" (?:(?<=\boperator )([-*/!\\]{1,2})(?=[\s?.,]|$)|([-*/!\\]{1,2})(?= (?:operator|sign|symbol|character)s?\b))"
)
_LINES, _BLANKS = re.compile(r"[^\S\n]*\n\s*"), re.compile(r" [^\S\n]+|[^\S\n ][^\S\n]*")
_QUOTED = re.compile(r"[\"'`]+([^\w\s\"'`]{1,3})[\"'`]+[.,;:?!]*")
_ALIKE = (("\u201c", '"'), ("\u201d", '"'), ("\u201e", '"'), ("\u2014", ";"), ("\u2022", ";"))
_EMPHASIS, _BLANK = re.compile(r"_(?<!\w_)(?=[^\W_])([^_\n\0]*[^\W_])_(?!\w)"), re.compile(r"___+")
_STARS = re.compile(r"\*(?<![\w*].)(\*{0,2})(?=[^\s*])([^*\n\0]*[^\s*\0])\*\1(?![\w*])")
_FORMULA = re.compile(r"\$(?=[^\s$])([^$]*[^\s$])\$(?!\d)")
_LATEX, _DELIMITER = re.compile(r"\\[a-z]{2}|\\[{}()\[\]]|[\^_]\{"), re.compile(r"\\[()\[\]]")
_GROUP = re.compile(r"(?<!\\)[{}]")
_ANY = re.compile(
    rf"[{re.escape(STRONG)}*·\\]|[.:]\d|(?:^|[^\w.:])[.:](?=\w)|\w\.(?:{'|'.join(sorted(SUFFIXES))})\b|\.\.\w|\?[.?]\w"
    r"|\b\w'|\d!|\)!|\b[nkmx]!|![\w=(]|[\"'`][-/.!?]|(?:^|[\W\d]|\b\w)[-/]|[-/](?:[\d(]|\w\b)"
)
_PIECE = re.compile(rf"{WORD.pattern}|[^\w{MARKS}]+")
_ASCII_PIECE = re.compile(r"\w+|\W+", re.ASCII)
_TAIL = re.compile(rf"[-+]+|#|\*|[!{UNITS}{MONEY}]|'+|[~^]+|[{FLATS}]|\)+!")  # what can belong to the word before it
_BULLETS = frozenset({*"*+>#&~=", ">>", "##", "###", "->", "=>", "!!", "!!!"})
_BOLD = re.compile(r"^\*\*(?=[\[{])|(?<=[\]}])(\W*)\*\*(?=\W*$)")
_RULE, _NO_SLICE = re.compile(r"(.)\1{3,}"), re.compile(r"(?<!\[):(?!\])")
NEVER, ALWAYS, NUMBERS, PRIME, BOTH_SMALL, ONE_SMALL, ONE_LETTER, BRACKET, QUOTED_BRACKET = range(9)  # when signs mean


def as_ascii(text: str) -> str:
    """Returns a text in normal form with signs of ASCII for curly quotation marks, em dashes and bullets."""
    for special, plain in _ALIKE:
        text = text.replace(special, plain)
    return text


def without_marking(text: str) -> str:
    """Returns a text without Markdown's emphasis, and with blanks to fill in that are of one length."""
    text = _STARS.sub(r"\2", text) if "*" in text else text
    return _BLANK.sub("___", _EMPHASIS.sub(r"\1", text)) if "_" in text else text


def symbols_in(pieces: str) -> frozenset[str]:
    """Returns the symbols in pieces of a text in normal form, with NULs between; after a space one is within a line."""
    return frozenset().union(*map(_symbols_of_piece, pieces.split("\0")))


@lru_cache(1 << 14)
def _symbols_of_piece(piece: str) -> frozenset[str]:
    found: set[str] = set()
    for line in close_up(piece).split("\n"):
        for place, part in enumerate(line.split()):
            found.update(symbols_of_part(part, not place and line[0] != " "))
    return frozenset(found)


def close_up(text: str) -> str:
    """Returns the text without the spaces around operators and within brackets, and before percent signs."""
    if not text.isprintable():  # other white space than a plain space
        text = _LINES.sub("\n", text)
    if "  " in text or not text.isprintable():
        text = _BLANKS.sub(" ", text)
    text = _NAMED.sub(r' "\1\2"', text)
    return _SPACED.sub(lambda found: found[0].replace(" ", ""), text)


@lru_cache(1 << 14)
def symbols_of_part(part: str, first: bool) -> tuple[str, ...]:
    """Returns the symbols in a part of a text between white space; `first` says that it begins a line."""
    if not _ANY.search(part):
        return ()
    if "$" in part:
        part = _FORMULA.sub(r"\1", part)
    if _LATEX.search(part):
        part = _GROUP.sub(",", _DELIMITER.sub(",", part)).replace("\\{", "{").replace("\\}", "}")
    if "**" in part:
        part = _BOLD.sub(r"\1", part)
    pieces: list[str] = (_ASCII_PIECE if part.isascii() else _PIECE).findall(part)
    found, last = [], len(pieces) - 1
    for place, piece in enumerate(pieces):
        if piece[0].isalnum() or piece[0] == "_":
            continue
        signs, kind = _signs(piece)
        if not signs:
            continue
        if kind in (BRACKET, QUOTED_BRACKET) and last:
            before, after = pieces[place - 1] if place else "", pieces[place + 1] if place < last else ""
            symbol = _bracket(before, signs, after, kind == QUOTED_BRACKET or f"{after}," in part)
        elif 0 < place < last:
            symbol = signs + pieces[place + 1]
            if kind != ALWAYS:
                symbol = _between(pieces[place - 1], signs, pieces[place + 1], kind)
        elif place < last:
            symbol = _ahead(signs, pieces[place + 1], piece, part)
        else:
            symbol = _behind(pieces[place - 1], piece, part) if place else _alone(signs, part, first)
        if symbol:
            found.append(symbol)
    return tuple(found)


@lru_cache(10_000)
def _signs(piece: str) -> tuple[str, int]:
    """Returns what may mean something in what stands between two words, and when it does; empty for punctuation."""
    signs = "".join(c for c in piece if c in _MEANS).replace("·", "*" if piece.strip("()[]") == "·" else "")
    core = signs.strip(_BRACKETS)
    if not core.strip(".:?") and not {*"[]{}"}.isdisjoint(signs):
        brackets = "".join(c for c in _NO_SLICE.sub("", signs) if c in "[]{}:")
        return brackets, BRACKET if {*"\"'`"}.isdisjoint(piece) else QUOTED_BRACKET
    if not signs.strip("()"):
        return "", NEVER
    if core in (".", ":"):
        return signs, NUMBERS if core == signs else NEVER
    if signs[0] == "'" and "(" in signs:
        return signs, PRIME
    if core in ("-", "-.", "..", "...") or "·" in piece:
        return signs, BOTH_SMALL
    if core in ("/", "//", "&"):
        return signs, ONE_SMALL
    if core == "\\" and piece[-1] == "\\":
        return core, ONE_LETTER
    always = core in ("*", "**", "!-", "!*", "!/", "?.", "??") or not _MEANT.isdisjoint(core)
    return signs, ALWAYS if always else NEVER


def _between(before: str, signs: str, after: str, kind: int) -> str:
    """Returns the symbol between two words, where it does not always mean something."""
    if kind == NUMBERS and before[-1].isdigit() and after[0].isdigit():
        return f"{before}{signs}{after}"
    if kind == NUMBERS:
        return f".{after}" if signs == "." and after in SUFFIXES else ""
    if kind == PRIME:  # f'(x)
        return before + signs if len(before) == 1 else ""
    if kind == ONE_LETTER:
        return signs + after if len(after) == 1 else ""
    if kind == NEVER:
        return ""
    left, right = signs[0] in ")]}" or _ends_small(before), signs[-1] in "([{" or _begins_small(after)
    if (left and (right or after in _FUNCTIONS)) or (kind == ONE_SMALL and (left or right)):
        return signs + after
    return ""


def _bracket(before: str, signs: str, after: str, holds: bool) -> str:
    """Returns the symbol of brackets; `holds` says that quotations or a list are in them."""
    if after and signs[0] not in "]}" and (holds or _begins_small(after)):
        return signs + after
    if before and signs[0] in "]}:" and (holds or _ends_small(before)):
        return before + signs + (after if signs[-1] in "[{" else "")
    return before + signs if before and signs in ("[]", "{}") else ""


def _ahead(signs: str, after: str, piece: str, part: str) -> str:
    core, figure = signs.strip(f"{_BRACKETS}.:?"), after[0].isdigit()
    within = "".join(c for c in signs[: signs.find(core)] if c in "[{") if core else ""
    if figure and signs[-1:] == "." and signs[-2:-1] != ".":
        return f"{within}{core}0.{after}"
    if signs.strip(_BRACKETS) in (".", ":", "/") and piece[-1] in ".:/" and _is_letter(after[0]):
        return piece[-1] + after
    if core == piece[-1] == "$" and part.count("$") == 1 and len(after) > 1 and after.isascii() and not figure:
        return "" if after in _FUNCTIONS else core + after
    match core:
        case "-":
            small = _begins_small(after) or after in _FUNCTIONS or signs[-1] in "([{"
        case "*" | "**":
            small = after not in ("a", "i") and piece[-1] == "*" and part.count("*") == len(core) and after.isascii()
        case "\\":
            small = len(after) == 1 and piece[-1] == "\\"
        case "" | "***" | "/" | "//" | "##" | "###" | "~~" | "*-" | "\\\\":
            small = False
        case _:
            small = (
                figure
                if core in MONEY
                else (core in ("!", "!!", "--") and piece.rstrip("(")[-1:] == core[-1]) or not _MEANT.isdisjoint(core)
            )
    return within + core + after if small else ""


def _behind(before: str, piece: str, part: str) -> str:
    found = _TAIL.match(piece)
    if not found:
        return ""
    sign, letter, figure = found[0], _is_letter_alone(before), before[-1].isdigit()
    match sign[0]:
        case "-" | "♭" | "♮":
            belongs = letter
        case "*":
            belongs = letter and part[0] != "*"
        case "'":
            belongs = letter and part[0] == before
        case "!" | ")":
            belongs = figure or before in ("n", "k", "m", "x")
        case "~" | "^":
            belongs = before.isascii() and sign != "~~"
        case "+" | "#":
            belongs = True
        case _:
            belongs = figure
    if not belongs:
        return ""
    return sign + before if sign in MONEY else before + sign


def _alone(signs: str, part: str, first: bool) -> str:
    """Returns the symbol of signs without a word beside them."""
    if quoted := _QUOTED.fullmatch(part):
        return quoted[1] if _MEANS.issuperset(quoted[1]) else ""
    if signs in ("[]", "{}"):
        return signs
    core = signs.strip(f"{_BRACKETS}.:?")
    if (_MEANT.isdisjoint(core) and part != "\\") or _RULE.search(part) or core in ("|", "||"):
        return ""
    return "" if first and part in _BULLETS else core


def _begins_small(word: str) -> bool:
    """Whether a word is a number, a letter or a letter with an index, as in formulas, seen from its beginning."""
    return _is_small(word) and not (len(word) > 1 and _is_letter(word[0]) and _is_letter(word[1]))


def _ends_small(word: str) -> bool:
    """Whether a word is such a one, seen from its end: 5x is, and 10km is not."""
    return _is_small(word) and not (len(word) > 1 and _is_letter(word[-1]) and _is_letter(word[-2]))


def _is_small(word: str) -> bool:
    if word[0].isdigit() or len(word) == 1:
        return word.isascii() or not UNSPACED_LETTER.match(word)
    return word[1:].strip("_").isdigit() and word[0].isalpha()


def _is_letter_alone(word: str) -> bool:
    return len(word) == 1 and word.isalpha() and not UNSPACED_LETTER.match(word)


def _is_letter(one: str) -> bool:
    return not one.isdigit() and one != "_"
