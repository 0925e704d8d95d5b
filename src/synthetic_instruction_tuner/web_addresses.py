"""Passwords and keys within web addresses: an address with one is refused, and none is ever shown.

Settings are stored with a run and shown in reports, and a command line stays in the shell's history. Keys belong in
environment variables.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
_SHAPE = "it must begin with http:// or https:// and a host, such as http://127.0.0.1:8000/v1"
_SECRET = "it must not hold a password, a key or a query; keys go into engine.api_key_env's variable"
_SIGNS = "it must not hold white space, quotation marks or backslashes"

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}:/{1,3}[^\s\"'<>\\`]+", re.IGNORECASE)
_USER = re.compile(r"^([^/]*:/{1,3})([^/?#@]*@|[^/?#@:]+:(?!\d*(?:[/?#]|$))[^@]*@)+")
_NAME = (
    r"[\w.%-]*(?:key|token|secret|passw(?:or)?d|passphrase|pwd|credentials?|signature|authori[sz]ation)"
    r"|auth|pass|sig|jwt|bearer|password"
)
_NAMED = re.compile(rf"((?:^|[?&#;/])(?:{_NAME})=)[^&#;/]+", re.IGNORECASE)
_BELOW = re.compile(r"(/(?:api[_-]?)?(?:key|token|secret|password)s?/)(?!v\d)[^/?#]+", re.IGNORECASE)
_WITHIN = re.compile(r"(^https?://[^/?#@:]+/)[^/@]+:[^/@]+(?=@)", re.IGNORECASE)  # a password behind a slash
# Keys as their makers write them, and what else no person would call a folder: letters of both kinds mixed with digits.
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|nvapi|glpat|xox[abeprs])-[\w-]{6,}|(?:hf|gsk|r8|gh[oprsu]|github_pat)_\w{8,}"
    r"|AKIA[A-Z0-9]{12,}|AIza[\w-]{20,}|eyJ[\w-]{8,}\.[\w.-]+"
    r"|(?=[A-Za-z]*\d)(?=[0-9A-Z]*[a-z])(?=[0-9a-z]*[A-Z])[A-Za-z0-9]{28,}|(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{48,})"
    r"(?![A-Za-z0-9])"
)
# Characters of the category Cf that browsers and people read over: soft hyphen, zero-width signs, marks of direction.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0001-\U000e007f]")
# Half an address: a scheme without slashes, slashes without a scheme, or a password with white space in it.
_HALF = re.compile(
    r"(\bhttps?:(?!/)|(?<![:\w/])//)[^\s/@\uff20:]{0,60}:[^\s/@\uff20]{0,90}[@\uff20](?=[\w\[])"
    r"|(\b(?:https?|socks\w{0,3})://)[^\s/@\uff20:]{1,60}:(?!\d+\b)[^/@\uff20\n]{1,90}[@\uff20](?=[\w\[])",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w.%+:@-])(?<!//)[\w.%+-]{1,90}:[^\s@/'\"]+@(?=[\w-]+(?:\.[\w-]+|:\d))")  # without a scheme


def address_fault(address: str) -> str | None:
    """Returns why this cannot be the address of a server, without showing any of it, or None."""
    if re.search(r"[\s\"'<>\\`\x00-\x20\x7f]", address):
        return _SIGNS
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its own text may show a part of a password
        return _SHAPE
    if parts.scheme not in ("http", "https") or not host:
        return _SHAPE
    inside = re.search(r"[^/]@", parts.path)  # a password with a slash in it, which is no path
    if "@" in parts.netloc or "?" in address or "#" in address or inside or holds_secret(address):
        return _SECRET
    return None


def holds_secret(text: str) -> bool:
    """Returns whether a web address in this text holds a password or a key."""
    text = _INVISIBLE.sub("", text)
    return any(_hidden(found) != found for found in _ADDRESS.findall(text)) or _HALF.search(text) is not None


def without_secrets(text: str) -> str:
    """Returns the text with ``***`` in place of passwords and keys of web addresses.

    Characters that nobody sees do not hide an address: where one does, the text comes back without them.
    """
    if _INVISIBLE.search(text) and (shown := _shown(plain := _INVISIBLE.sub("", text))) != plain:
        return shown
    return _shown(text)


def _shown(text: str) -> str:
    if ":/" in text:
        text = _ADDRESS.sub(lambda found: _hidden(found[0]), text)
    if "@" in text or "\uff20" in text:
        text = _HALF.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}@", text)
    return _BARE.sub(f"{HIDDEN}@", text) if "@" in text else text


def _hidden(address: str) -> str:
    plain = unquote(address)  # names and keys may be written with percent signs
    if _masked(address) == address and _masked(plain) != plain:
        return f"{address.partition(':')[0]}://{HIDDEN}"
    return _masked(address)


def _masked(address: str) -> str:
    shown = _USER.sub(rf"\g<1>{HIDDEN}@", address)
    for pattern in (_NAMED, _BELOW, _WITHIN):
        shown = pattern.sub(rf"\g<1>{HIDDEN}", shown)
    return _KEY.sub(HIDDEN, shown)
