"""Small text files that a person has written: settings and topics. No odd file makes reading take long."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

LARGEST = 16 << 20  # bytes


def read_text(file: Path) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark.

    Raises:
        OSError: it is not there or cannot be read.
        ValueError: it is a folder, a device or a pipe, is very large, or is not UTF-8 text.
    """
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is a device or a pipe, not a file")
    if status.st_size > LARGEST:
        raise ValueError(f"it has {status.st_size / 1e6:,.0f} MB; {LARGEST / 1e6:,.0f} MB are the limit")
    with file.open("rb") as stream:
        content = stream.read(LARGEST + 1)  # a file of /proc says that it is empty
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: byte {error.start} is no part of a character") from None
    if "\0" in text:
        raise ValueError("it is not text: it holds NUL characters")
    return text
