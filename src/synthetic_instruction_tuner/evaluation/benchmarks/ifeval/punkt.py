"""NLTK's Punkt parameters for English, with which IFEval counts sentences.

The harness looks for them while it scores, downloads them by itself, and an empty folder silently gives other counts.
Here they are looked for before a run starts, checked, and handed over.
"""

from __future__ import annotations

import hashlib
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from synthetic_instruction_tuner.errors import UserError

SERVER = "raw.githubusercontent.com"  # where NLTK keeps its data
INSIDE = Path("tokenizers/punkt_tab")
FOLDER = "nltk_punkt_tab"  # the name of their folder in the user's data folder
LEAST = {"abbrev_types.txt": 100, "collocations.tab": 10, "sent_starters.txt": 10, "ortho_context.tab": 10_000}
"""Lines that each file has at least; the published ones have 156, 37, 39 and more than 20,000."""
HOW = "Run 'sit benchmarks fetch', or put NLTK's punkt_tab into tokenizers/ of a folder that NLTK_DATA names."


def find_punkt(data_dir: Path | None) -> Path:
    """Returns the folder that NLTK is to search: in the user's data folder, in NLTK_DATA, or where NLTK downloads to.

    Raises:
        UserError: there are no parameters, or they are not whole.
    """
    for root in _roots(data_dir):
        if (root / INSIDE).is_dir():
            if fault := _fault(root / INSIDE / "english"):
                raise UserError(f"The Punkt parameters in {root / INSIDE} are not whole.", fault, HOW)
            return root
    raise UserError("NLTK's Punkt parameters are missing.", "IFEval's rules on sentences are counted with them.", HOW)


def use_punkt(root: Path) -> None:
    """Makes NLTK read the parameters in this folder."""
    import nltk

    if str(root) not in nltk.data.path[:1]:
        nltk.data.path.insert(0, str(root))


def fetch_punkt() -> str:
    """Downloads the parameters to where NLTK looks for them; returns why that failed, or an empty text."""
    import nltk

    try:
        socket.getaddrinfo(SERVER, 443)  # without a network NLTK tries for half a minute
        if nltk.download("punkt_tab", quiet=True, raise_on_error=True, print_error_to=io.StringIO()):
            return ""
    except Exception as error:  # of the network, of the disk, of NLTK's own; the message is the same for all of them
        return f"NLTK's server cannot be reached ({type(error).__name__})"
    return "NLTK's server cannot be reached"


def punkt_digest(root: Path) -> str:
    """Returns a hash of the English parameters."""
    whole = hashlib.sha256()
    for name in sorted(LEAST):
        whole.update((root / INSIDE / "english" / name).read_bytes())
    return whole.hexdigest()[:16]


def _roots(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield from (data_dir / FOLDER, data_dir / "nltk_data", data_dir)
    yield from (Path(place).expanduser() for place in os.environ.get("NLTK_DATA", "").split(os.pathsep) if place)
    import nltk

    yield from map(Path, nltk.data.path)


def _fault(english: Path) -> str:
    for name, least in LEAST.items():
        try:
            with (english / name).open("rb") as file:
                lines = sum(1 for line in file if line.strip())
        except OSError:
            return f"{name} is missing."
        if lines < least:
            return f"{name} has {lines:,} lines; the published one has more than {least:,}."
    return ""
