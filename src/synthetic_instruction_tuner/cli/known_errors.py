"""What errors of Python, the operating system and the libraries mean where nothing nearer has explained them.

The machine is at fault in most of them: no memory, no permission, no network. What is in no list here is unexpected.
"""

from __future__ import annotations

import errno
import locale
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from synthetic_instruction_tuner.errors import RunError, SitError, UserError, disk_full, is_disk_full

KEPT = "Finished work is kept: run the same command again to continue."
_NETWORK = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub", "aiohttp", "http"}
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EEXIST,
    errno.ENOTEMPTY,
}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
_NO_GPU = ("no nvidia driver", "not compiled with cuda", "no cuda gpus", "driver on your system is too old")
_GPU = ("cuda error", "cuda driver", "cudnn", "cublas", "nccl", "no kernel image", "cuda_", "cuda runtime")


def known(error: BaseException) -> SitError | None:
    """Returns the error to show for one that has come to the top, or None if it is not known."""
    for one in _chain(error):
        if isinstance(one, SitError):
            return one if one is not error else None
        if found := _network(one) or _memory(one) or _gpu(one) or _system(one) or _language(one):
            return found
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error, and those that it was raised from; a library may give a vague name to a clear one."""
    one: BaseException | None = error
    for _ in range(8):
        if one is None:
            return
        yield one
        one = one.__cause__


def _network(error: BaseException) -> SitError | None:
    if type(error).__name__ == "HFValidationError":
        return UserError("That is no name on the Hugging Face Hub.", _said(error), "Write AUTHOR/NAME, or a folder.")
    if proxies := _proxies_that_are_set() if _is_wrong_address(error) else []:
        return _wrong_proxy(proxies)
    kinds = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if kinds & _NETWORK or (
        isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, BrokenPipeError)
    ):
        return RunError(
            "The network or the Hugging Face Hub does not answer as it should.",
            _said(error),
            f"Check the connection, HF_ENDPOINT and the proxy. {KEPT}",
        )
    return None


def _is_wrong_address(error: BaseException) -> bool:
    """Returns whether an error says that an address, of a server or of a proxy, cannot be read."""
    unread = type(error).__name__ in ("InvalidURL", "InvalidProxyURL", "LocationParseError", "ProxySchemeUnknown")
    return unread or (isinstance(error, ValueError) and "proxy url" in str(error).lower())


def _proxies_that_are_set() -> list[str]:
    return [name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower())]


def _wrong_proxy(proxies: list[str]) -> UserError:
    """Returns the error without the original's text, which may show a part of the proxy's password."""
    wrong = [name for name in proxies if not _is_proxy(os.environ.get(name) or os.environ.get(name.lower()) or "")]
    if not wrong:
        cause = f"It is that of a server, or of the proxy in the environment variable {' or '.join(proxies)}."
        return UserError("A web address cannot be used.", cause, "Correct it: http://HOST:PORT.")
    cause = f"The environment variable {' or '.join(wrong)} holds no address of a proxy."
    return UserError("The proxy cannot be used.", cause, "Correct it: http://HOST:PORT, or http://USER:KEY@HOST:PORT.")


def _is_proxy(text: str) -> bool:
    try:
        address = urlsplit(text)
        whole = bool(address.hostname) and (address.port is None or address.port > 0)
    except ValueError:
        return False
    return whole and re.fullmatch(r"(?:https?|socks[45][ah]?)://[^\s/]+/?", text) is not None


def _memory(error: BaseException) -> SitError | None:
    text = str(error).lower()
    if type(error).__name__ == "OutOfMemoryError" or "cuda out of memory" in text:
        fix = "Lower engine.batch_size, prefer.reward_batch_size or the lengths, or use a smaller model."
        return RunError("The GPU has not enough memory.", _said(error), f"{fix} {KEPT}")
    full = "allocate memory" in text or "not enough memory" in text or "cannot allocate" in text
    if isinstance(error, MemoryError) or full or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        fix = "End other programs, lower engine.batch_size, or use a smaller model."
        return RunError("The machine has not enough memory.", _said(error), f"{fix} {KEPT}")
    return None


def _gpu(error: BaseException) -> SitError | None:
    text = str(error).lower()
    if not isinstance(error, (RuntimeError, AssertionError)):
        return None
    if any(part in text for part in _NO_GPU):
        return UserError(
            "There is no GPU that can be used.", _said(error), "Set engine.device=cpu, or mend the driver."
        )
    if any(part in text for part in _GPU):
        fix = "See whether nvidia-smi works, and whether torch fits the GPU; engine.device=cpu does without it."
        return RunError("The GPU has failed.", _said(error), f"{fix} {KEPT}")
    if "start new thread" in text:
        fix = "Raise the limit (ulimit -u), or lower engine.concurrency and engine.threads."
        return RunError("No more threads can be started.", _said(error), f"{fix} {KEPT}")
    if "home directory" in text:
        return UserError("There is no home folder.", _said(error), "Set HOME to a folder that can be written.")
    return None


def _system(error: BaseException) -> SitError | None:
    """What the operating system, or the store, has refused."""
    if any(kind.__module__ == "sqlite3" for kind in type(error).__mro__):  # importing it takes time
        return RunError("The run's store cannot be read or written.", _said(error), f"Check the disk. {KEPT}")
    full = os.strerror(errno.ENOSPC) in str(error)  # libraries in other languages have errors of their own for it
    if not isinstance(error, OSError):
        return disk_full() if full else None
    if full or is_disk_full(error):
        return disk_full(error.filename)
    if "temporary directory" in str(error):
        fix = "Free some space, or set TMPDIR to a folder that can be written."
        return UserError("There is no folder for temporary files.", _said(error), fix)
    place = f"{error.filename}" if error.filename else "A file or folder"
    reason = error.strerror or _said(error)
    if error.errno in _REFUSED:
        return UserError(
            f"{place} may not be read or written.", reason, f"Change its permissions, or use another folder. {KEPT}"
        )
    if error.errno in _WRONG_PATH and error.filename:
        fix = f"Put there what belongs there, or correct the path. {KEPT}"
        return UserError(f"{place} is not what it should be.", reason, fix)
    if error.errno in _TOO_MANY:
        return RunError("Too many files are open.", reason, f"Raise the limit (ulimit -n). {KEPT}")
    if error.errno is not None:
        return RunError(f"{place} cannot be read or written.", reason, f"Check the disk or the drive. {KEPT}")
    return None


def _language(error: BaseException) -> SitError | None:
    """What Python itself cannot do: deep nesting, other encodings, missing libraries."""
    if isinstance(error, RecursionError):
        return UserError(
            "Something is nested too deeply.", _said(error), f"Look for a file with very many brackets. {KEPT}"
        )
    if isinstance(error, UnicodeError):
        part = (
            f"{error.encoding} cannot take byte or character {error.start}"
            if isinstance(error, (UnicodeDecodeError, UnicodeEncodeError))
            else _said(error)
        )
        return UserError(
            "A text is in another encoding than it should be.",
            part,
            "Save files as UTF-8; set PYTHONUTF8=1 if the system uses another encoding.",
        )
    if isinstance(error, ImportError):
        fix = "Install the package again, with the versions that it names: pip install synthetic-instruction-tuner"
        return RunError("A library is missing, or of a version that does not fit.", _said(error), fix)
    if isinstance(error, locale.Error):
        return UserError("The system's language settings do not exist.", _said(error), "Set LC_ALL=C.UTF-8.")
    if type(error).__name__ in ("BrokenProcessPool", "ProcessRaisedException", "ProcessExitedException", "EOFError"):
        return RunError(
            "A helper process has ended.", _said(error), f"It may have been killed for lack of memory. {KEPT}"
        )
    return None


def folder_gone() -> UserError | None:
    """Returns the error for a working folder that has been deleted, or None."""
    try:
        Path.cwd()
    except FileNotFoundError:
        fix = "Go to a folder that exists, and run the command again."
        return UserError("The folder that this command was started in is gone.", "It has been deleted or moved.", fix)
    return None


def _said(error: BaseException) -> str:
    """Returns the first lines of an error's own text, or its kind."""
    return " ".join(str(error).split())[:300] or type(error).__name__
