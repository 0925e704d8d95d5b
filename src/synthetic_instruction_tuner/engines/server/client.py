"""Talks JSON over HTTP with one server; each kind of failure says what it means for the request.

The key goes to this server and nowhere else: redirects are not followed, proxies and .netrc are ignored, and no message
contains it. It is read from an environment variable and kept in memory only.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
import threading
import time
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.parse import quote

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from synthetic_instruction_tuner.engines.server.error_words import error_in, shown_text, words
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.escaping import one_line
from synthetic_instruction_tuner.web_addresses import address_fault, without_secrets

_CONNECT_SECONDS = 10.0
_LONGEST_WAIT = 120.0
_LONGEST_MESSAGE = 300
_LARGEST = 64 << 20  # bytes of an answer, unpacked
_PART = 1 << 16


class ServerFailure(Exception):
    """A request was not served; the subclasses say what that means."""


class Unavailable(ServerFailure):
    """There is no server, or it is starting or too busy: the request is not at fault.

    Attributes:
        wait: seconds that the server asks the client to wait, if it does.
        busy: the server is there, and has too much to do.
    """

    def __init__(self, message: str, wait: float | None = None, *, busy: bool = False) -> None:
        self.wait, self.busy = wait, busy
        super().__init__(message)


class Dropped(ServerFailure):
    """The connection broke during the request: the server died, perhaps because of this request."""


class Failed(ServerFailure):
    """The server failed on this request, or did not answer in time; another attempt may succeed."""


class Rejected(ServerFailure):
    """The server will never serve this request."""


class Missing(Rejected):
    """The server has no such page, or no such model."""


class ServerClient:
    """One server. Safe to use from several threads.

    Args:
        url: its address, with or without the final ``/v1``.
        api_key_env: name of the environment variable that holds its key; empty if it needs none.
        timeout: seconds to wait for an answer.

    Raises:
        UserError: the environment variable is not set, its value cannot be a key, or the address cannot be used.
    """

    def __init__(self, url: str, *, api_key_env: str = "", timeout: float = 600.0) -> None:
        if fault := address_fault(url):
            raise UserError(
                "The address of the server cannot be used.", fault, "Correct engine.url or the model's url."
            )
        self.url = url.rstrip("/").removesuffix("/v1")
        self._timeout = timeout
        self._key = _key(api_key_env)
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"ServerClient({self.url})"

    def get(self, path: str) -> Any:
        """Returns the JSON at this path; raises the same errors as `post`."""
        return self._exchange("GET", path, None, min(self._timeout, 30.0))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Sends JSON and returns the JSON of the answer.

        Raises:
            Unavailable, Dropped, Failed, Rejected: the request was not served; see these classes.
            UserError: the server does not accept the key, or redirects requests.
        """
        return self._exchange("POST", path, body, self._timeout)

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> Any:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            with self._session().request(
                method, self.url + path, json=body, headers=headers, timeout=(_CONNECT_SECONDS, timeout),
                allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                content = _content(answer, time.monotonic() + timeout, timeout)
        except ServerFailure:
            self._session().close()  # what is left of the answer is not the next one's beginning
            raise
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"The server {self.url} has no valid certificate.", self._clean(str(error)), "Correct engine.url."
            ) from None
        except (requests.exceptions.ReadTimeout, ReadTimeoutError):
            raise Failed(f"no answer within {timeout:.0f} s") from None
        except requests.exceptions.ContentDecodingError:
            raise Failed("the answer is not packed as its header says") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if _never_connected(error):
                raise Unavailable("it cannot be reached") from None
            if _timed_out(error):
                raise Failed(f"no answer within {timeout:.0f} s") from None
            raise Dropped("the connection broke before the answer came") from None
        except (requests.exceptions.RequestException, HTTPError, HTTPException, ValueError) as error:
            # Without the error's own text: some errors show the headers, and with them the key.
            raise Rejected(f"the request could not be sent ({type(error).__name__})") from None
        return self._read(answer, content)

    def _read(self, answer: requests.Response, content: bytes) -> Any:
        status = answer.status_code
        if status >= 500:  # many servers close the connection after an error, unseen until it is used again
            self._session().close()
        if status != 200:
            self._refused(answer, status, self._message(answer, content))
        try:
            found = json.loads(content)
        except RecursionError:
            raise Failed("the answer is nested too deeply") from None
        except UnicodeDecodeError:
            raise self._unreadable("the answer is not UTF-8") from None
        except ValueError:
            said = self._page(content)
            raise self._unreadable("the answer is empty" if not said else f"the answer is not JSON: {said}") from None
        if error := error_in(found):
            code, said = error[0], self._clean(error[1]) or "it does not say why"
            if code is not None:
                self._refused(answer, code, said)
            raise Failed(f"the server answers with an error: {said}")
        return found

    def _unreadable(self, reason: str) -> Failed:
        self._session().close()  # there may be more of it than its header says
        return Failed(reason)

    def _refused(self, answer: requests.Response, status: int, message: str) -> NoReturn:
        """Raises the error that a status means; some servers name it in the body of an answer with status 200."""
        said = f"status {status}: {message}"
        if 300 <= status < 400:
            raise UserError(
                f"The server {self.url} redirects requests.",
                self._clean(f"status {status}, to {answer.headers.get('Location', 'no address')}"),
                "Set the model's or the engine's url to the final address; redirects are not followed.",
            )
        if status in (401, 403):
            raise UserError(
                f"The server {self.url} does not accept the key.",
                said,
                "Store the key in an environment variable, and set engine.api_key_env to the variable's name.",
            )
        if status in (429, 503):
            raise Unavailable(said, _retry_after(answer), busy=status == 429)
        if status in (502, 504):  # there is a gateway in front of the server, and the server is gone
            raise Unavailable(said)
        if status >= 500 or status == 408:
            raise Failed(said)
        if status == 404:
            raise Missing(said)
        raise Rejected(said)

    def _message(self, answer: requests.Response, content: bytes) -> str:
        """Returns the server's error message."""
        try:
            text = words(json.loads(content))
        except (ValueError, RecursionError):
            text = self._page(content)
        return self._clean(text) or self._clean(answer.reason or "")

    def _page(self, content: bytes) -> str:
        """Returns what a page says; the key is taken out first, which might look like a part of it."""
        return self._clean(shown_text(self._without_key(content.decode("utf-8", "replace"))))

    def _clean(self, text: str) -> str:
        """Returns one short line of plain text without the key."""
        return one_line(without_secrets(self._without_key(text)[: 4 * _LONGEST_MESSAGE]))[:_LONGEST_MESSAGE]

    def _without_key(self, text: str) -> str:
        """Returns a text without the key, however the server has written it."""
        if self._key:
            for form in (self._key, json.dumps(self._key)[1:-1], html.escape(self._key), quote(self._key, safe="")):
                text = text.replace(form, "***")
        return text

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # no proxy, and no .netrc whose password would replace the key
        return session


def _key(variable: str) -> str:
    """Returns the value of the environment variable; messages show neither, since users mix up the name and the key."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            "The server's key is missing.",
            "the environment variable that api_key_env names is not set",
            "Set it (export MY_SERVER_KEY=...) and name it: api_key_env: MY_SERVER_KEY. The key is never stored.",
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UserError(
            "The server's key cannot be sent.",
            "the variable that api_key_env names contains white space or characters that are not ASCII",
            "Set the variable to the key alone, on one line.",
        )
    return key


def _never_connected(error: Exception) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError, NameResolutionError))


def _timed_out(error: Exception) -> bool:
    """Returns whether an answer that had begun did not go on; requests calls that a broken connection."""
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def _content(answer: requests.Response, end: float, timeout: float) -> bytes:
    """Returns an answer's body, read in parts: a server may send without end."""
    parts, size = [], 0
    for part in answer.iter_content(_PART):
        parts.append(part)
        size += len(part)
        if size > _LARGEST:
            raise Failed(f"the answer has more than {_LARGEST >> 20} MB")
        if time.monotonic() > end:
            raise Failed(f"no answer within {timeout:.0f} s")
    return b"".join(parts)


def _retry_after(answer: requests.Response) -> float | None:
    try:
        wanted = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(max(wanted, 0.0), _LONGEST_WAIT) if math.isfinite(wanted) else None
