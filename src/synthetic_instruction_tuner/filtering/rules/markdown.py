"""Which lines of a text are prose, and which are code or data: Markdown as CommonMark defines it, and text without it.

Fences are found by a CommonMark parser, since their length, tildes, indentation and info string decide where they end.
Code and data also stand without fences; there a line is judged by its form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from markdown_it import MarkdownIt

from synthetic_instruction_tuner.filtering.rules.notation import COMMON

MOST = 5000  # fences; more are no Markdown, and would take long
LOOKED_AT = 150  # characters from the start, and from the end, of a long line
FENCE = re.compile(r"```|~~~")
RUN = re.compile(r"`{3,}|~{3,}")
PLAIN = frozenset(("text", "txt", "plain", "plaintext", "none", "markdown", "md"))  # info strings
SENTENCES = frozenset(("gherkin", "cucumber", "feature", "output", "console", "log", "logs", "stdout", "csv", "tsv"))
SENTENCE = 4  # words
_COMMENT = re.compile(r"^(?:#+|//+|--+|;+|%+|/?\*+|<!--)[ \t]+")
_PLAIN_WORD = re.compile(r"[(\"'“‘]?[^\W\d_]+(?:['’-][^\W\d_]+)*[.,;:!?)\"'”’]*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff0c、]{4,}[。！？]")
_PRINTED = re.compile(
    r"\b(?:outputs?|prints?|printed|console|terminal|programs?|loops?|runs?|logs?|display\w*)\b", re.I
)
_DATA = re.compile(
    r"""
      (?:\t|[ ]{4,}).*                                          # indented
    | \s*(?:\|.*\||<[^<>]+>|<.*>|>>>[ ].*|\$[ ].*|\#include.*)\s*   # table rows, tags, sessions
    | \s*(?:[\[{(](?=.*[,:"'=\d]|\S*(?:\s\S+){0,2}\s*$).*[\]})][,;]?|[\]})]+[,;]*|"[^"]*"\s*:.*)\s*  # brackets, JSON
    | .*[;{}\\]\s*                                              # statements, blocks, rows in LaTeX
    | .*\w\((?!e?s\)).*\)[;:,]?\s*                              # calls
    | \s*[\w.\[\]'"]+\s*[-+*/|&:]?=\s*\S.*                      # assignments
    | \s*(?:(?:def|class|for|if|elif|while|with)\b.*|else):\s*
    | \s*(?:import\s[\w.,\s]+|from\s\S+\simport\s.*|return\b\s?[^\s]*|INSERT\sINTO\b.*|SELECT\b.*\bFROM\b.*)
    | .*(?:___|\.{4}|…{2}|\[[ ]?\]|[☐□]).*                      # blanks of a form
    | [^\s:]+(?:[ ][^\s:]+){0,3}:\s*                                 # labels
    | [^\s,;]*(?:[,;\t][^\s,;]*){2,}                            # CSV
    | \s*[-*+]\s+(?i:null|none|nil|nan|true|false|undefined|n/a)[,;]?   # literals in a list, as in YAML
    """,
    re.VERBOSE,
)
_OPERAND = r"[%$#&*]?(?:[er]?[abcd]x|[er]?[sd]i|[er]?[sb]p|[abcd][lh]|[rstvawxf]\d{1,2}|-?\d[\w.]*|\[[^\]\s]*\])"
_ASSEMBLY = re.compile(
    rf"\s*(?:\w+:\s+)?(?:(?:nop|hlt|pushad|popad|lodsb|stosb|movsb|syscall)(?:\s+nop)*|"
    rf"[a-z]{{2,6}}\s+{_OPERAND}(?:,\s*{_OPERAND})"
    r"{0,3}|(?:push|pop|dup|swap|nop)(?:\s+(?:push|pop|dup|swap|nop|drop))+)\s*(?:[;#].*)?",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:(?P<first>[^\W\d_])(?!(?P=first)+(?![^\W\d_])))[^\W\d_]|[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text, without white space at its end; `is_data` where it is code or data.

    A sentence in a fence of code is prose. `is_talk` where a line is in a fence, but no fence of the text has code.
    """

    text: str
    is_data: bool
    is_talk: bool = False


@lru_cache(8192)
def lines_of(text: str) -> tuple[Line, ...]:
    """Returns the lines of a text that are not blank."""
    lines = _split(text)
    blocks = fences(text)
    fenced = {number for start, end, _ in blocks for number in range(start, end)}
    printed = _PRINTED.search(text) is not None
    prose = {
        n
        for start, end, _ in blocks
        if (_is_code(lines[start]) if printed else _names(lines[start]) not in SENTENCES)
        for n in range(start + 1, end)
        if _says(lines[n])
    }
    talk = bool(blocks) and not any(_has_code(lines[start:end]) for start, end, _ in blocks)
    found = ((number, line.rstrip()) for number, line in enumerate(lines))
    return tuple(
        Line(line, number not in prose and (number in fenced or _is_data(line)), talk and number in fenced)
        for number, line in found
        if line
    )


def _is_code(opening: str) -> bool:
    """Whether the info string of a fence names a language of code, and not one whose lines are sentences."""
    return _names(opening) not in {"", *PLAIN, *SENTENCES}


def _names(opening: str) -> str:
    """The first word of a fence's info string."""
    return "".join(opening.strip().lstrip("`~> ").lower().split()[:1])


def _says(line: str) -> bool:
    """Whether a line in code is a sentence, or a comment that is one."""
    text = _COMMENT.sub("", line.strip())
    words = text.split()
    if _UNSPACED.fullmatch(text) is not None:
        return True
    if len(words) < SENTENCE or text.isupper() or not all(map(_PLAIN_WORD.fullmatch, words)):
        return False
    return (text[0].isupper() and text[-1] in ".!?") or not COMMON.isdisjoint(text.casefold().split())


def _has_code(block: list[str]) -> bool:
    """Whether a fenced block names a language other than plain text, or has a line that looks like code or data."""
    if _names(block[0]) not in {"", *PLAIN}:
        return True
    return any(_is_data(line.rstrip()) for line in block[1:] if line.strip() and not FENCE.match(line.strip()))


def fences(text: str) -> list[tuple[int, int, bool]]:
    """Returns for each fenced code block its first line, the line after it, and whether a fence ends it."""
    if not 0 < len(FENCE.findall(text)) <= MOST:
        return []
    found = []
    for token in _parser().parse(text.replace("\0", " ")):
        if token.type == "fence" and token.map:
            start, end = token.map
            content = token.content.count("\n") + (not token.content.endswith("\n") and bool(token.content))
            found.append((start, end, content == end - start - 2))
    return found


def ends_within_fence(text: str) -> bool:
    """Whether the text ends in a fenced block that nothing closes.

    Two fences count as closing ones here although they are none in CommonMark: one behind a list item that ends before
    it, and one with too much indentation in the last line.
    """
    found = fences(text)
    if not found or found[-1][2]:
        return False
    start, end, _ = found[-1]
    lines = _split(text)
    last, opening = text.rstrip().rpartition("\n")[2].strip(), RUN.search(lines[start])
    if opening and end - start > 1 and len(last) >= len(opening[0]) and set(last) == {opening[0][0]}:
        return False
    cut = len(found) > 1 and not found[-2][2] and found[-2][1] == start and lines[start].strip() in ("```", "~~~")
    return not cut and not any(line.strip() for line in lines[end:])


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _is_data(line: str) -> bool:
    if line[-1] in ".!?。！？" and line[-4:] != "...." and line[0].isalpha():
        return False
    if len(line) > 2 * LOOKED_AT:
        line = line[:LOOKED_AT] + line[-LOOKED_AT:]
    return _WORD.search(line) is None or _DATA.fullmatch(line) is not None or _ASSEMBLY.fullmatch(line) is not None


@cache
def _parser() -> MarkdownIt:
    """A CommonMark parser of blocks alone: text within lines does not matter here."""
    parser = MarkdownIt("zero").enable(["fence", "code", "list", "blockquote"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
