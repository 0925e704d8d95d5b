"""What it means when a model that was loaded cannot run: its files disagree, or the libraries cannot do what they ask.

Only errors from inside of the libraries are explained so; the package's own mistakes stay what they are, and so does
what says that memory, the GPU or the disk is at fault.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import SitError, UserError

_PACKAGE = str(Path(__file__).parents[1])
_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "safetensors", "tokenizers", "jinja2")
_MACHINE = re.compile(r"cuda|cudnn|cublas|nccl|memory|space left|thread", re.IGNORECASE)
_LONGEST = 200


@contextmanager
def running(model: str, doing: str) -> Iterator[None]:
    """Explains the libraries' errors while a model runs.

    Args:
        model: its name or path, for the message.
        doing: what it cannot do, such as ``write text``.

    Raises:
        UserError: a library has failed on the model.
    """
    try:
        yield
    except (SitError, OSError, MemoryError, ImportError):
        raise
    except Exception as error:
        if _MACHINE.search(f"{type(error).__name__} {error}") or not _of_a_library(error):
            raise
        first = (str(error).strip().splitlines() or [""])[0][:_LONGEST]
        raise UserError(
            f"The model {model} cannot {doing}.",
            f"{type(error).__name__}: {first}" if first else type(error).__name__,
            "Its files disagree with each other, or this version of the libraries cannot run it. Get all its files "
            "again, from one place, or use another model.",
        ) from error


def require_known_tokens(model: str, loaded: Any, highest: int) -> None:
    """Stops where a tokenizer has given ids that the weights do not have; on a GPU they would end the process.

    Raises:
        UserError: that is so.
    """
    rows = loaded.get_input_embeddings().num_embeddings
    if highest >= rows:
        raise UserError(
            f"The tokenizer of {model} does not fit its weights.",
            f"It gives token {highest:,}, and the weights have {rows:,} tokens.",
            "Get the model's files again, from one place, or use a tokenizer without added tokens.",
        )


def _of_a_library(error: Exception) -> bool:
    """Returns whether an error comes from inside of a library: from its own lines, or from a kernel that ours call."""
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if last.startswith(_PACKAGE):
        return type(error) is RuntimeError or type(error).__module__.partition(".")[0] in _LIBRARIES
    return any(f"/{name}/" in last.replace("\\", "/") for name in _LIBRARIES)
