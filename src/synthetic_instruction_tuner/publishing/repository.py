"""A repository as it is staged: a folder whose files it will hold, and what the Hub and a reader are told of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["dataset", "model", "space"]
PLURALS: dict[Kind, str] = {"dataset": "datasets", "model": "models", "space": "spaces"}
_PORTION = 1 << 20  # bytes in memory


@dataclass(frozen=True, slots=True)
class Repository:
    """A staged repository.

    Attributes:
        id: ``OWNER/NAME``.
        kind: what the Hub calls its type.
        part: which part of the run it holds, such as ``adapters/student-llama/sft``.
        title: the same for people.
        folder: its files.
    """

    id: str
    kind: Kind
    part: str
    title: str
    folder: Path

    def files(self) -> dict[str, Path]:
        """Returns its files by their paths in the repository, in order."""
        found = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        return dict(sorted(found.items()))

    def sizes(self) -> dict[str, int]:
        """Returns the bytes of each file."""
        return {name: path.stat().st_size for name, path in self.files().items()}

    def address(self, endpoint: str) -> str:
        """Returns where its page is."""
        return f"{endpoint}/{'' if self.kind == 'model' else PLURALS[self.kind] + '/'}{self.id}"


@dataclass(frozen=True, slots=True)
class Digest:
    """What tells whether two files are the same.

    Attributes:
        size: bytes.
        blob: the SHA-1 that git gives to a file.
        sha256: that of the content, by which the Hub names large files.
    """

    size: int
    blob: str
    sha256: str


def digest(path: Path) -> Digest:
    """Returns the digest of a file, which is read once.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    blob, whole = hashlib.sha1(f"blob {size}\0".encode()), hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while portion := stream.read(_PORTION):
            blob.update(portion)
            whole.update(portion)
    return Digest(size, blob.hexdigest(), whole.hexdigest())
