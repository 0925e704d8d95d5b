"""What a server says has gone wrong, in its own words: every kind of server puts them in another place.

Some servers answer with status 200 and say the error in the body; it then counts like the status that they name there.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

_NAMES = ("error", "message", "detail", "msg", "error_message", "error_msg", "errors", "description", "title", "reason")
_ANSWERS = ("choices", "tokens", "content", "response", "data")  # what a body has that is an answer
_CODES = ("code", "status", "status_code", "http_code", "error_code")
_FAILED = ("error", "failed", "failure", "fail")
_DEEPEST, _MOST = 6, 3
_NOT_SHOWN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)


def error_in(found: Any) -> tuple[int | None, str] | None:
    """Returns the error that the JSON of an answer is, as its status if it names one, and its words; or None."""
    if isinstance(found, list) and found and isinstance(found[0], dict):
        found = found[0]
    if isinstance(found, str):
        return None, found or "an empty text"
    if not isinstance(found, dict):
        return None
    for part in (found, *_choices(found)):
        if part.get("error"):
            return _status(part["error"], part), words(part["error"])
    if found.get("object") == "error" or (not any(name in found for name in _ANSWERS) and _says_so(found)):
        return _status(found), words(found)
    return None


def words(found: Any, depth: int = 0) -> str:
    """Returns the words of an error message within JSON; JSON itself where it has none."""
    if isinstance(found, str):
        return found
    if depth < _DEEPEST and isinstance(found, list):
        return "; ".join(words(part, depth + 1) for part in found[:_MOST])
    if depth < _DEEPEST and isinstance(found, dict):
        for name in _NAMES:
            if found.get(name) and (said := words(found[name], depth + 1)):
                return said
    try:
        return json.dumps(found)
    except RecursionError:
        return ""


def shown_text(page: str) -> str:
    """Returns what a page says, without its HTML: the title and the text."""
    if "<" not in page:
        return page
    title = _TITLE.search(page)
    body = " ".join(_NOT_SHOWN.sub(" ", page).split())
    head = " ".join(_NOT_SHOWN.sub(" ", title[1]).split()) if title else ""
    return html.unescape(body if body.startswith(head) else f"{head}: {body}" if body else head)


def _choices(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = found.get("choices")
    yield from (choice for choice in choices[:1] if isinstance(choice, dict)) if isinstance(choices, list) else ()


def _says_so(found: dict[str, Any]) -> bool:
    said = any(found.get(name) for name in _NAMES)
    return said or found.get("status") in _FAILED or False in (found.get("success"), found.get("ok"))


def _status(*parts: Any) -> int | None:
    """Returns the status that an error names: a whole number from 400 to 599, also as a text."""
    for part in parts:
        for name in _CODES if isinstance(part, dict) else ():
            code = part.get(name)
            if isinstance(code, (int, str)) and re.fullmatch(r"[45]\d\d", str(code)):
                return int(code)
    return None
