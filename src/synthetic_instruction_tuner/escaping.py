"""Texts of users, data sets, models and servers, made safe for the format they are written into: a function for each.

Whatever a text contains, it is shown, and does nothing: no markup, no formula, no control sequence, no reordering. JSON
and Parquet need none of this, and hold texts as they are.
"""

from __future__ import annotations

import codecs
import html as html_library
import re
from typing import Any

# Control characters, lone surrogates, separators of lines, and what reorders or hides the text around it. The joiners
# U+200C and U+200D stay: Persian, Hindi and emojis need them.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

# What has a meaning anywhere in Markdown; an underscore within a word and a lone & have none.
MARKUP = re.compile(r"([\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;))")
# What has one at the start of a block: headings, lists, underlines and rules.
BLOCK = re.compile(r"^(?=#{1,6}(?:\s|$)|[-+](?:\s|$)|=+\s*$|-[-\s]*$)|^(\d{1,9})(?=[.)](?:\s|$))")

CLOSING = re.compile(r"(^|\s)(?=#+$)")  # what ends a heading and is not shown

FORMULA = "=+-@＝＋－＠'"  # begins a formula in a spreadsheet; the apostrophe is the mark of a text
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

LONGEST_LABEL = 60  # characters of a label in a figure

SUBSTITUTES = {
    "±": "+/-",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "▸": ">",
    "→": "->",
    "Δ": "delta",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "×": "x",
    "·": ".",
    "•": "*",
    "✓": "+",
    "✗": "x",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
}
SUBSTITUTES |= {chr(code): "*" for code in range(0x2800, 0x2900)}  # a spinner's dots


def visible(text: str, keep: str = "") -> str:
    r"""Returns the text with its hidden characters written as escapes, such as ``\x1b``; `keep` names exceptions."""
    return HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def one_line(value: object) -> str:
    """Returns the value as visible text on one line, without space around it."""
    return visible(" ".join(str(value).split()))


def markdown(value: object) -> str:
    """Returns the value as one line of Markdown that shows it, in a paragraph, a heading, a list or a table's cell."""
    return CLOSING.sub(r"\1\\", BLOCK.sub(r"\1\\", MARKUP.sub(r"\\\1", one_line(value))))


def fenced(value: object, language: str = "text") -> str:
    """Returns the value as a fenced block of Markdown; the fence is longer than any in the text."""
    shown = visible(str(value).replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}{language}\n{shown}\n{mark}"


def html(value: object) -> str:
    """Returns the value as text of an HTML page, or as the value of an attribute in quotation marks."""
    return html_library.escape(visible(str(value), keep="\n\t"))


def csv_cell(value: str) -> str:
    """Returns the text as a cell that no spreadsheet takes for a formula: an apostrophe goes before one."""
    text = visible(value)
    return f"'{text}" if text.lstrip()[:1] in tuple(FORMULA) and not NUMBER.fullmatch(text) else text


def metadata(value: Any) -> Any:
    """Returns plain values for a YAML writer, every text on one line: the head of a Markdown file ends at a line."""
    if isinstance(value, dict):
        return {metadata(key): metadata(part) for key, part in value.items()}
    if isinstance(value, list):
        return [metadata(part) for part in value]
    return one_line(value) if isinstance(value, str) else value


def figure_text(value: object) -> str:
    """Returns the value as a label of a figure. Matplotlib leaves out of a legend what begins with an underscore."""
    text = one_line(value)
    text = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return f" {text}" if text.startswith("_") else text


def terminal(text: str, encoding: str = "utf-8") -> str:
    """Returns the text as a terminal of this encoding can show it; lines and tabs stay."""
    shown = visible(text.replace("\r\n", "\n"), keep="\n\t")
    return shown.encode(encoding, SUBSTITUTE).decode(encoding)


def _escape(character: str) -> str:
    code = ord(character)
    form = "\\x{:02x}" if code < 0x100 else "\\u{:04x}" if code < 0x10000 else "\\U{:08x}"
    return NAMED.get(character, form.format(code))


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    return "".join(SUBSTITUTES.get(character) or _escape(character) for character in part), error.end


SUBSTITUTE = "sit-substitute"  # the handler of errors for streams of any encoding
codecs.register_error(SUBSTITUTE, _substitute)
