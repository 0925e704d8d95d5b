"""What the Hub's answers mean when a push fails: one clear line, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.web_addresses import HIDDEN

AGAIN = "Run the same command again: what has been uploaded is not uploaded again."
LOGIN = "Log in with 'hf auth login', or set HF_TOKEN; the token needs the right to write."
_LONGEST = 300  # characters of what the Hub says
_TOKEN = re.compile(r"\b(?:hf|api_org|hf_oauth)_[A-Za-z0-9]{20,}")
_NETWORK = {"httpx2", "httpcore2", "httpx", "httpcore", "requests", "urllib3"}


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns errors of the Hub's client into errors for people.

    Args:
        name: the repository, or whatever is asked for.

    Raises:
        SitError: in their place; others pass.
    """
    try:
        yield
    except SitError:
        raise
    except Exception as error:
        for one in _chain(error):
            if found := meaning(one, name):
                raise found from error
        raise


def meaning(error: BaseException, name: str) -> SitError | None:
    """Returns what an error of the Hub's client means for a repository; None for one that is not the Hub's."""
    kind = type(error).__name__
    if kind == "OfflineModeIsEnabled":
        return UserError("Nothing can be pushed offline.", "HF_HUB_OFFLINE is set.", "Unset it, or use --dry-run.")
    if kind == "LocalTokenNotFoundError":
        return no_token()
    if (response := getattr(error, "response", None)) is not None and hasattr(response, "status_code"):
        return _answer(response, getattr(error, "server_message", None), name)
    if kind == "XetAuthenticationError":  # of the storage of large files, which gives tokens of its own
        return UserError(f"The token may not write to {name}.", _said(str(error)), LOGIN)
    modules = {one.__module__.partition(".")[0] for one in type(error).__mro__}
    if modules & _NETWORK or "hf_xet" in modules or isinstance(error, (ConnectionError, TimeoutError)):
        problem = "The connection to the Hugging Face Hub was lost, or there is none."
        return RunError(problem, _said(str(error) or kind), f"Check the network and the proxy. {AGAIN}")
    if kind == "JSONDecodeError":
        problem = "The Hugging Face Hub has a fault: its answer cannot be read."
        return RunError(problem, _said(str(error)), f"Wait a few minutes. {AGAIN}")
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        return RunError(f"The Hub does not take the card of {name}.", _said(str(error)), "Nothing was uploaded to it.")
    return None


def no_token() -> UserError:
    """Returns the error for a machine on which nobody is logged in."""
    return UserError("There is no token for the Hugging Face Hub.", "Nobody is logged in on this machine.", LOGIN)


def _answer(response: Any, message: str | None, name: str) -> SitError:
    code = int(response.status_code)
    said = _said(message or f"The Hub answers with status {code}.")
    if code == 401:
        return UserError("The Hugging Face Hub does not take the token.", said, LOGIN)
    if code == 402:
        return UserError(f"The Hub wants to be paid for {name}.", said, "Free some space there, or change the plan.")
    if code == 403:
        fix = "Use a token that may write there (huggingface.co/settings/tokens), or another name with --to."
        return UserError(f"The token may not write to {name}.", said, fix)
    if code == 404:
        fix = "Check the name after --to: the user or the organization must exist, and you must be in it."
        return UserError(f"The Hub does not find {name}.", said, fix)
    if code in (409, 412):
        problem = f"Something else changed {name} at the same moment."
        return RunError(problem, said, f"Wait until it is done. {AGAIN}")
    if code == 413:
        return RunError(f"A file is too large for {name}.", said, "Push less at once with --what.")
    if code == 429:
        return RunError("The Hub has had too many requests.", said, f"Wait {_wait(response)}. {AGAIN}")
    if code >= 500:
        return RunError(f"The Hugging Face Hub has a fault ({code}).", said, f"Wait a few minutes. {AGAIN}")
    return RunError(f"The Hub refuses what was sent to {name} ({code}).", said, f"Look at its page. {AGAIN}")


def _wait(response: Any) -> str:
    seconds = str(response.headers.get("Retry-After") or "").strip()
    return f"{seconds} seconds" if seconds.isdigit() else "some minutes"


def _said(text: str) -> str:
    """Returns what the Hub says, on one line, without a token that it may repeat."""
    return _TOKEN.sub(HIDDEN, " ".join(text.split()))[:_LONGEST]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those behind it: a thread's says only which file it was."""
    one: BaseException | None = error
    for _ in range(8):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__
