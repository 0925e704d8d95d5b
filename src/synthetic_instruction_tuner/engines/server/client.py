"""Talks JSON over HTTP with one server; each kind of failure says what it means for the request.

The key goes to this server and nowhere else: redirects are not followed, proxies and .netrc are ignored, and no message
contains it. It is read from an environment variable and kept in memory only.
"""

from __future__ import annotations

import json
import os
import re
import threading
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

from synthetic_instruction_tuner.errors import UserError

_CONNECT_SECONDS = 10.0
_LONGEST_WAIT = 120.0
_LONGEST_MESSAGE = 300


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
        UserError: the environment variable is not set, or its value cannot be a key.
    """

    def __init__(self, url: str, *, api_key_env: str = "", timeout: float = 600.0) -> None:
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
            answer = self._session().request(
                method, self.url + path, json=body, headers=headers, timeout=(_CONNECT_SECONDS, timeout),
                allow_redirects=False,
            )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"The server {self.url} has no valid certificate.", self._clean(str(error)), "Correct engine.url."
            ) from None
        except requests.exceptions.ReadTimeout:
            raise Failed(f"no answer within {timeout:.0f} s") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if _never_connected(error):
                raise Unavailable("it cannot be reached") from None
            raise Dropped("the connection broke before the answer came") from None
        except requests.exceptions.RequestException as error:
            # Without the error's own text: some errors show the headers, and with them the key.
            raise Rejected(f"the request could not be sent ({type(error).__name__})") from None
        return self._read(answer)

    def _read(self, answer: requests.Response) -> Any:
        status = answer.status_code
        if status >= 500:  # many servers close the connection after an error, unseen until it is used again
            self._session().close()
        if 300 <= status < 400:
            raise UserError(
                f"The server {self.url} redirects requests.",
                self._clean(f"status {status}, to {answer.headers.get('Location', 'no address')}"),
                "Set the model's or the engine's url to the final address; redirects are not followed.",
            )
        if status in (401, 403):
            raise UserError(
                f"The server {self.url} does not accept the key.",
                f"status {status}: {self._message(answer)}",
                "Store the key in an environment variable, and set engine.api_key_env to the variable's name.",
            )
        if status in (429, 503):
            raise Unavailable(f"status {status}: {self._message(answer)}", _retry_after(answer), busy=status == 429)
        if status in (502, 504):  # there is a gateway in front of the server, and the server is gone
            raise Unavailable(f"status {status}: {self._message(answer)}")
        if status >= 500 or status == 408:
            raise Failed(f"status {status}: {self._message(answer)}")
        if status == 404:
            raise Missing(f"status {status}: {self._message(answer)}")
        if status != 200:
            raise Rejected(f"status {status}: {self._message(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise Failed("the answer is not JSON") from None

    def _message(self, answer: requests.Response) -> str:
        """Returns the server's error message; each kind of server puts it in another field."""
        try:
            found: Any = answer.json()
            for name in ("error", "detail", "message"):
                if isinstance(found, dict) and name in found:
                    found = found[name]
            text = found if isinstance(found, str) else json.dumps(found)
        except ValueError:
            text = answer.text
        return self._clean(text or answer.reason or "")

    def _clean(self, text: str) -> str:
        """Returns one short line without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:_LONGEST_MESSAGE]

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


def _retry_after(answer: requests.Response) -> float | None:
    try:
        return min(max(float(answer.headers["Retry-After"]), 0.0), _LONGEST_WAIT)
    except (KeyError, ValueError):
        return None
