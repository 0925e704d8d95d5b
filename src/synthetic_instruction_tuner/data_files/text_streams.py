"""Opens the user's text files as UTF-8: gzip is unpacked, UTF-16 and UTF-32 are converted.

A file whose first bytes are those of another format is an error that names the format.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from synthetic_instruction_tuner.errors import UserError

PACKED = ".gz"
BLOCK = 1 << 16
FORMATS = (  # first bytes, in lower case; what they mean; what to do
    (b"par1", "a Parquet file", "Rename it to .parquet."),
    (b"\x1f\x8b", "a gzip file", "Add .gz to its name."),
    (b"pk\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "Save the sheet as CSV."),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it first."),
    (b"bzh", "a bzip2 file", "Unpack it first."),
    (b"\xfd7zxz", "an xz file", "Unpack it first."),
    (b"arrow1", "an Arrow file", "Save it as Parquet."),
    (b"obj\x01", "an Avro file", "Save it as Parquet or JSON lines."),
    (b"sqlite format", "an SQLite database", "Export its table as CSV or JSON."),
    (b"\x89hdf", "an HDF5 file", "Save it as Parquet or JSON lines."),
    (b"%pdf", "a PDF", "Use a file of records."),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run 'git lfs pull', or download it again."),
    (b"<!doctype", "a web page", "Download the file itself, not the page that shows it."),
    (b"<html", "a web page", "Download the file itself, not the page that shows it."),
    (b"<?xml", "an XML file", "Convert it to JSON lines or CSV."),
)


@contextmanager
def utf8_stream(file: Path) -> Iterator[io.BufferedReader]:
    """Opens a text file for reading as UTF-8 bytes, without a byte order mark.

    Raises:
        UserError: the file cannot be read, is damaged, or has another format.
    """
    packed = file.suffix.lower() == PACKED
    try:
        with gzip.open(file) if packed else file.open("rb") as opened:
            stream: io.BufferedReader = io.BufferedReader(cast("io.FileIO", opened), BLOCK)
            head = stream.peek(BLOCK)
            require_text(file, head)
            encoding, mark = _encoding(head)
            stream.read(mark)
            converted = io.BufferedReader(_Converted(stream, encoding), BLOCK) if encoding else stream
            yield cast("io.BufferedReader", converted)
    except UnicodeDecodeError as error:
        cause = f"It begins as {error.encoding.upper()}, but is not: {error.reason}."
        raise UserError(f"The file {file} is damaged.", cause, "Save it as UTF-8.") from None
    except EOFError as error:
        raise UserError(f"The file {file} is truncated.", str(error), "Copy or download it again.") from None
    except zlib.error as error:
        raise UserError(f"The file {file} is damaged.", str(error), "Copy or download it again.") from None
    except OSError as error:
        raise UserError(f"The file {file} cannot be read.", str(error.strerror or error)) from None


def require_text(file: Path, head: bytes) -> None:
    """Raises UserError if a file's first bytes are those of a format without records."""
    start = head[:64].lstrip().lower()
    for magic, what, fix in FORMATS:
        if start.startswith(magic):
            raise UserError(f"No record could be read from {file}.", f"It looks like {what}.", fix)


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding if it is not UTF-8, and the length of the byte order mark."""
    marks = (
        (codecs.BOM_UTF8, ""),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    )
    for mark, encoding in marks:
        if head.startswith(mark):
            return encoding, len(mark)
    known: dict[tuple[bool, ...], str] = {  # where ASCII characters have their zeros
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    return known.get(tuple(byte == 0 for byte in head[:4]), ""), 0


class _Converted(io.RawIOBase):
    """A stream of another encoding as UTF-8."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._waiting:
            block = self._stream.read(BLOCK)
            self._waiting = self._decoder.decode(block, final=not block).encode("utf-8")
            if not block:
                break
        part, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
