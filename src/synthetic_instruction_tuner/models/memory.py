"""Checks that a model's memory is freed, by comparing memory use before loading and after release."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from synthetic_instruction_tuner.errors import RunError

_GB = 1024**3
# What remains without being a leak: workspaces of libraries on a GPU, of which a Hopper has several of 34 MB; on a CPU
# modules imported meanwhile, and holes in the heap. A small model that stays is found by the reference to it, not by
# its size.
_ROOM = {"cuda": 256 * 1024**2, "cpu": _GB}
_ENDS_WITHIN = 30.0
_OTHER_SEARCH = 10.0  # seconds that another thread's search for cycles is waited for
_TRACKER, _STAYING = "multiprocessing.resource_tracker", "rendering_process.py"


@contextmanager
def memory_freed(name: str, device: str) -> Iterator[None]:
    """Within this context a model is loaded and used; at its end the model's memory must be free again.

    On a GPU the tensors' bytes are counted, on a CPU the process's resident bytes. Processes that were started within
    the context (vLLM runs in one of its own) must have ended; their memory ends with them.

    Args:
        name: the model's, for the message.
        device: ``cpu`` or ``cuda``.

    Raises:
        RunError: it is not free. An error that is raised within the context is not replaced.
    """
    release()
    before, children = held_bytes(device), _children()
    yield
    release()
    if left := _ended(_children() - children):
        raise not_freed(name, f"process {', '.join(str(p.pid) for p in left)} has not ended")
    grown = held_bytes(device) - before
    if grown > _ROOM[device]:
        raise not_freed(name, f"{grown / _GB:.2f} GB more than before are still in use")


def held_bytes(device: str) -> int:
    """Returns the bytes that this process's tensors hold on the GPU, or its resident bytes on a CPU."""
    if device == "cuda":
        import torch

        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def free_gpu_bytes(device: Any) -> int:
    """Returns how many bytes of a GPU's memory new tensors can take: what is free and what torch holds unused."""
    import torch

    unused = int(torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def _children() -> set[psutil.Process]:
    return {process for process in psutil.Process().children(recursive=True) if not _stays(process)}


def _stays(process: psutil.Process) -> bool:
    """Returns whether this process holds no model and outlives all of them.

    One is Python's helper, started with the first spawned process; chat templates are tried in the other.
    """
    try:
        return any(word.endswith(_STAYING) or _TRACKER in word for word in process.cmdline())
    except psutil.Error:
        return False


def _ended(processes: set[psutil.Process]) -> list[psutil.Process]:
    """Waits for these processes, kills those that remain, and returns those that survive even that."""
    _, staying = psutil.wait_procs(processes, timeout=_ENDS_WITHIN)
    for process in staying:
        process.kill()
    return list(psutil.wait_procs(staying, timeout=5.0)[1])


def not_freed(name: str, cause: str) -> RunError:
    """Returns the error for a model whose memory is still in use after its release."""
    return RunError(
        f"The memory of {name} was not freed.",
        cause,
        "Run the same command again: it continues in a fresh process.",
    )


def set_apart() -> None:
    """Keeps what is in memory now, the imported libraries above all, out of later searches for cycles.

    Each release of a model is such a search. To be called while no model is held: none of this is ever freed.
    """
    _free_cycles()
    gc.freeze()


def release() -> None:
    """Returns unused memory to the system: collects cycles, empties torch's GPU cache, trims the heap on Linux."""
    _free_cycles()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
        if trim is not None:
            trim(0)


def _free_cycles() -> None:
    """Searches for cycles, after the end of another thread's search: until then, Python does nothing when asked."""
    searches, end = _searches(), time.monotonic() + _OTHER_SEARCH
    gc.collect()
    while _searches() == searches and time.monotonic() < end:
        time.sleep(0.005)
        gc.collect()


def _searches() -> int:
    return int(gc.get_stats()[-1]["collections"])
