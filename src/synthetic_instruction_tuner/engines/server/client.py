"""Speaks JSON over HTTP with one server, and says of each failure what it means for the request.

The key goes to this server and nowhere else: redirects are not followed, proxies and .netrc are not asked, and no
message holds it. It is read from an environment variable and kept in memory only.
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
    """A request was not answered; the subclasses say what that means."""


class Unavailable(ServerFailure):
    """No server there, or it says that it is starting or too busy: no fault of the request.

    Attributes:
        wait: seconds that the server asked for, if it did.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(message)


class Dropped(ServerFailure):
    """The connection broke while the request was there: the server died, perhaps because of this request."""


class Failed(ServerFailure):
    """The server failed on this request, or did not answer in time; another attempt may succeed."""


class Refused(ServerFailure):
    """The server will never serve this request."""


class ServerClient:
    """One server. Safe to use from several threads.

    Args:
        url: where it is, with or without the final ``/v1``.
        api_key_env: name of the environment variable that holds its key; empty when it wants none.
        timeout: seconds to wait for an answer.

    Raises:
        UserError: the environment variable is not set, or what it holds cannot be a key.
    """

    def __init__(self, url: str, *, api_key_env: str = "", timeout: float = 600.0) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._timeout = timeout
        self._key = _key(api_key_env)
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"ServerClient({self.url})"

    def get(self, path: str) -> Any:
        """Returns the JSON at this path, or raises what `post` raises."""
        return self._exchange("GET", path, None, min(self._timeout, 30.0))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Sends JSON and returns the JSON of the answer.

        Raises:
            Unavailable, Dropped, Failed, Refused: see there.
            UserError: the server wants another key, or sends requests elsewhere.
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
            # Without the error's own words: some errors show the headers, and with them the key.
            raise Refused(f"the request could not be sent ({type(error).__name__})") from None
        return self._read(answer)

    def _read(self, answer: requests.Response) -> Any:
        status = answer.status_code
        if status >= 500:  # many servers close the connection after an error, unseen until it is used again
            self._session().close()
        if 300 <= status < 400:
            raise UserError(
                f"The server {self.url} sends requests elsewhere.",
                self._clean(f"status {status}, to {answer.headers.get('Location', 'nowhere')}"),
                "Set the model's or the engine's url to the final address; redirects are not followed.",
            )
        if status in (401, 403):
            raise UserError(
                f"The server {self.url} does not accept the key.",
                f"status {status}: {self._message(answer)}",
                "Put the key into an environment variable, and set engine.api_key_env to the variable's name.",
            )
        if status in (429, 503):
            raise Unavailable(f"status {status}: {self._message(answer)}", _retry_after(answer))
        if status in (502, 504):  # a gateway stands before the server, and the server is gone
            raise Unavailable(f"status {status}: {self._message(answer)}")
        if status >= 500 or status == 408:
            raise Failed(f"status {status}: {self._message(answer)}")
        if status != 200:
            raise Refused(f"status {status}: {self._message(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise Failed("the answer is not JSON") from None

    def _message(self, answer: requests.Response) -> str:
        """Returns what a server says about an error; every kind of server puts it elsewhere."""
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
    """Returns the key that the environment variable holds; no message shows either, for either may be the key."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            "The server's key is missing.",
            "the environment variable that api_key_env names is not set",
            "Set it (export MY_SERVER_KEY=...), and name it: api_key_env: MY_SERVER_KEY. The key stands nowhere.",
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UserError(
            "The server's key cannot be sent.",
            "what api_key_env's variable holds has white space, or characters that are not ASCII, inside of it",
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
