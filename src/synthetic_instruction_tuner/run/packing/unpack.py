"""Unpacks a run that `pack` has packed: every file is compared with the list, then the folder gets its name."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import xxhash

from synthetic_instruction_tuner.data_files.atomic_writing import write_error
from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.exporting.folder import new_folder
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.packing.contents import LIST, LONGEST_LIST, PORTION, Contents, damaged, fits_here

Advance = Callable[[int], None]


def unpack(archive: Path, output: Path | None, start: Callable[[int], Advance]) -> tuple[Contents, RunFolder]:
    """Unpacks a run; returns what was in the archive, and the run's folder, which is there whole or not at all.

    Args:
        archive: the file.
        output: the run's new folder; ``runs/NAME`` when it is None.
        start: is told how many bytes there are, and returns what is told of each portion.

    Raises:
        UserError: it is no packed run, or the folder holds something.
        RunError: it is damaged, or the disk is full.
    """
    with _opened(archive) as members:
        first = next(members, None)
        if first is None or first[0].rpartition("/")[2] != LIST or first[1] > LONGEST_LIST:
            cause = f"A packed run begins with {LIST}."
            raise UserError(f"{archive} is no packed run.", cause, "Name a file that 'sit pack' has written.")
        contents = Contents.from_json(archive, first[2].read())
        _require_names(archive, output, contents)
        target = output or Path("runs") / contents.name
        _require_place(target, contents)
        advance = start(contents.size)
        with new_folder(target, "unpacking a run into it") as work:
            _write(archive, contents, members, work, advance)
    return contents, RunFolder(target)


def _require_names(archive: Path, output: Path | None, contents: Contents) -> None:
    """Stops where this system cannot hold a name of a file, or of the run's folder."""
    if wrong := next((name for name in contents.files if not fits_here(name)), None):
        fix = "Unpack it on another system, or rename the file in the run and pack it again."
        raise UserError(f"{archive} cannot be unpacked here.", f"Windows does not take the name {wrong}.", fix)
    if output is None and not fits_here(contents.name):
        cause = f"Windows does not take the name {contents.name}."
        raise UserError("The run's folder cannot have its own name here.", cause, "Name a folder with -o.")


def _require_place(target: Path, contents: Contents) -> None:
    """Stops where the run cannot be unpacked to; what the system says is of that place, not of the archive."""
    try:
        _require_free(target)
        _require_room(target, contents)
    except OSError as error:
        raise write_error(target, error) from error


def _require_free(target: Path) -> None:
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise UserError(f"{shown(target)} exists.", "A run is unpacked into a new folder.", "Name one with -o.")
    if os.path.ismount(target):
        fix = "Name a folder within it with -o."
        raise UserError(f"{shown(target)} cannot be the run's folder.", "A disk is mounted there.", fix)


def _require_room(target: Path, contents: Contents) -> None:
    place = target.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < contents.size:
        cause = f"it takes {contents.size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
        raise RunError(f"There is no room for the run in {shown(target)}.", cause, "Free some space, or choose -o.")


def _write(archive: Path, contents: Contents, members: Iterator[Any], work: Path, advance: Advance) -> None:
    missing = dict(contents.files)
    for name, size, source in members:
        path = name.removeprefix(f"{contents.name}/")
        entry = missing.pop(path, None)
        if entry is None or size != entry["size"]:
            raise damaged(archive, f"{path} is not as its list says")
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        found = xxhash.xxh3_128()
        with file.open("xb") as stream:
            while portion := source.read(PORTION):
                found.update(portion)
                stream.write(portion)
                advance(len(portion))
        if found.hexdigest() != entry["hash"]:
            raise damaged(archive, f"{path} was changed")
        os.utime(file, ns=(int(entry["time"]), int(entry["time"])))
    if missing:
        raise damaged(archive, f"{sorted(missing)[0]} is missing{' and others' if len(missing) > 1 else ''}")


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[tuple[str, int, IO[bytes]]]]:
    """Yields the members of an archive one by one: name, size and content."""
    import pyarrow

    try:
        with (
            archive.open("rb") as file,
            pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd") as plain,
            tarfile.open(fileobj=plain, mode="r|") as found,
        ):
            yield _members(archive, found)
    except SitError:
        raise
    except (tarfile.TarError, pyarrow.ArrowException, EOFError, UnicodeError) as error:
        raise _unreadable(archive, error) from error
    except OSError as error:
        if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)) or error.errno:
            cause = error.strerror or str(error)
            raise UserError(f"{archive} cannot be read.", cause, "Name a file that 'sit pack' has written.") from error
        raise _unreadable(archive, error) from error


def _unreadable(archive: Path, error: Exception) -> SitError:
    return damaged(archive, f"it is no whole archive ({' '.join(str(error).split())[:120]})")


def _members(archive: Path, found: tarfile.TarFile) -> Iterator[tuple[str, int, IO[bytes]]]:
    for member in found:
        source = found.extractfile(member) if member.isfile() else None
        if source is None:
            raise damaged(archive, f"{member.name} is no file")
        yield member.name, member.size, source
