"""Names of this machine that nobody else is to read: taken out of texts, and looked for before anything is uploaded."""

from __future__ import annotations

import html
import json
import mmap
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.escaping import markdown

_TEXTS = {".md", ".html", ".json", ".jsonl", ".csv", ".svg", ".txt", ".yaml", ".jinja"}
_VOCABULARY = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "spiece")
_END = "(?![A-Za-z0-9_-])"  # of a path: a particle of another script may follow it
_FORMS: tuple[Callable[[str], str], ...] = (
    str,
    markdown,
    html.escape,
    lambda text: html.escape(text, quote=False),
    quote,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
)


@dataclass(frozen=True, slots=True)
class PrivateWords:
    """Paths and names, and what stands in their place.

    Attributes:
        places: paths, with what a reader sees instead. Relative ones are not looked for before an upload: they tell
            little, and such as ``data/train.jsonl`` may be in any text.
        names: of the machine and its user, as whole words. They are looked for where no model has written: any word
            may be in a text, or in a vocabulary.
        secrets: what must not be anywhere, such as a token.
    """

    places: Mapping[str, str]
    names: frozenset[str] = field(default_factory=frozenset)
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)

    def without(self, text: str) -> str:
        """Returns a text with what stands in the place of paths, however they are escaped in it."""
        for place, instead in sorted(self.places.items(), key=lambda one: -len(one[0])):
            for form in dict.fromkeys(form(place) for form in _FORMS):
                if form in text:
                    text = re.sub(re.escape(form) + _END, lambda _, new=instead: new, text)  # type: ignore[misc]
        return text

    def copy(self, source: Path, target: Path, change: Callable[[str], str] = str) -> None:
        """Copies a file without private paths: a text, or a document that is a zip of texts; others as they are.

        Args:
            source: the file.
            target: its copy; the folder is made.
            change: what else is done to a text.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix in _TEXTS:
            text = source.read_text(encoding="utf-8", errors="surrogateescape")
            target.write_text(self.without(change(text)), encoding="utf-8", errors="surrogateescape", newline="")
        elif zipfile.is_zipfile(source):
            self._copy_zip(source, target)
        else:
            shutil.copyfile(source, target)

    def _copy_zip(self, source: Path, target: Path) -> None:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename.endswith((".xml", ".rels")):
                    content = self.without(content.decode("utf-8")).encode("utf-8")
                new.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), content, zipfile.ZIP_DEFLATED)

    def require_absent(self, files: Mapping[str, Path], texts: bool) -> None:
        """Stops where a file that is to be uploaded has a private word in it.

        Args:
            files: by the names that a message gives them.
            texts: whether models have written in them.

        Raises:
            RunError: one has, with its name.
        """
        for name, path in files.items():
            if word := self._first_in(path, () if texts or path.name.startswith(_VOCABULARY) else self.names):
                shown = "a token" if word in self.secrets else word
                fix = (
                    "Nothing was uploaded. Name models and files so that no private path is in the run, or report this."
                )
                raise RunError(f"{name} would tell others something private.", f"It contains {shown}.", fix)

    def _first_in(self, path: Path, names: Iterable[str]) -> str | None:
        paths = [place for place in self.places if _is_absolute(place)]
        ends = dict.fromkeys(self.secrets, "") | dict.fromkeys(paths, _END)
        forms = [(word, form, end.encode()) for word, end in ends.items() for form in _written(word)]
        for part in _parts(path):
            for word, form, end in forms:
                if part.find(form) >= 0 and re.search(re.escape(form) + end, part):  # the first alone is much faster
                    return word
            for name in names:
                if re.search(rb"(?<![\w.-])" + re.escape(name.encode()) + rb"(?![\w-])", part):
                    return name
        return None


def _written(word: str) -> list[bytes]:
    """Returns a word as it stands in files, however it is escaped."""
    return list(dict.fromkeys(form(word).encode() for form in _FORMS))


def _parts(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yields what is in a file: what a zip holds, the columns of a table, the head of weights, else all of it."""
    if path.suffix == ".parquet":
        yield from _columns(path)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(entry) for entry in archive.infolist())
    elif path.stat().st_size:
        with path.open("rb") as stream:
            if path.suffix == ".safetensors":
                yield _head(stream)
            else:
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield content


def _head(stream: IO[bytes]) -> bytes:
    """Returns the names and facts of a file of weights, without its numbers."""
    length = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))[0]
    return stream.read(min(length, 100_000_000))


def _columns(path: Path) -> Iterator[bytes]:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as table:
        yield repr(table.schema_arrow.metadata).encode()
        for batch in table.iter_batches(1_000):
            yield json.dumps(batch.to_pylist(), ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


def places_of(texts: Iterable[str]) -> dict[str, str]:
    """Returns the paths among a run's settings, with the last part of each, which stands in its place."""
    found = {}
    for text in texts:
        local = _is_absolute(text) or text.startswith(("./", "../"))
        if is_telling(text) and "\n" not in text and len(text) < 4096 and (local or _exists(text)):
            name = Path(text.replace("\\", "/")).name
            if name and name != text:
                found[text] = name
    return found


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "~")) or path[1:3] in (":\\", ":/")


def is_telling(path: str) -> bool:
    """Returns whether a path says anything of a machine: one such as ``/data`` does not, and may be in any text."""
    return len(path) > 7 and len(re.findall(r"[/\\]+[^/\\]", path)) > (path[:1] in "/~.")


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False
