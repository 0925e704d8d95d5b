"""Packs a whole run: its store, data, adapters, checkpoints, results and report.

The run is held meanwhile, so that nothing changes. Its files and the rows of its store are verified first; what another
machine has no use for stays out: locks, logs of the store, unfinished files.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import xxhash

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.data_files.atomic_writing import TEMPORARY, atomic_file
from synthetic_instruction_tuner.data_files.file_hashes import file_hash
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.packing.contents import LIST, LONGEST_LIST, PORTION, SUFFIX, Contents, portable
from synthetic_instruction_tuner.run.pipeline import preview
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.file import RUN_STORE, SIDE_FILES, snapshot
from synthetic_instruction_tuner.run.written_files import WrittenFiles, one_line

_LEFT_OUT = {".lock", "progress.json", *(RUN_STORE + end for end in SIDE_FILES)}
Advance = Callable[[int], None]


def check_archive(folder: RunFolder, output: Path, force: bool) -> None:
    """Stops where an archive must not be written.

    Raises:
        UserError: the file exists, lies within the run, or has another ending.
    """
    if not output.name.endswith(SUFFIX) or output.name == SUFFIX:
        fix = f"Write for example: -o {folder.root.resolve().name}{SUFFIX}"
        raise UserError(f"{output} is no name for a packed run.", f"It must end in {SUFFIX}.", fix)
    if output.is_dir() or (os.path.lexists(output) and not force):
        fix = "Choose another name with -o, or add --force."
        raise UserError(f"{output} exists.", "", fix)
    if output.resolve().is_relative_to(folder.root.resolve()):
        raise UserError(f"{output} is inside of the run.", "It would be packed too.", "Choose another place with -o.")


def pack(folder: RunFolder, output: Path, start: Callable[[int], Advance]) -> Contents:
    """Packs a run into a file, which is there whole or not at all; returns what is in it.

    Args:
        folder: the run.
        output: the file.
        start: is told how many bytes there are, and returns what is told of each portion.

    Raises:
        UserError: there is no run, a process works in it, or an archive cannot hold a name or what a link leads to.
        RunError: its files or its store are damaged, or the disk is full.
    """
    folder.require_run()
    name = folder.root.resolve().name
    with folder.hold(), tempfile.TemporaryDirectory(prefix="sit-pack-") as place:
        found = sorted(_files(folder.root))
        _require_names([name, *found])
        copy = Path(place) / RUN_STORE
        snapshot(folder.store, copy)
        _require_whole(folder, copy)
        paths = {file: folder.root / file for file in found} | {RUN_STORE: copy}
        files = {file: file_hash(path) | {"time": _time(folder, file)} for file, path in sorted(paths.items())}
        contents = Contents(name, __version__, files)
        with atomic_file(output) as stream:
            _write(stream, contents, paths, start(contents.size))
    return contents


def _require_whole(folder: RunFolder, copy: Path) -> None:
    """Verifies the files of all stages, and every row of the store's copy."""
    fix = f"Run 'sit run -d {shown(folder.root)}': it makes again what is damaged. Then pack it."
    config, files = folder.read_config(), WrittenFiles(folder)
    files.read_all()
    store = Store.open(copy)
    try:
        if lost := store.drop_damaged():
            fix = f"Mend it: sit run -d {shown(folder.root)} --repair"
            raise RunError("The run's store is damaged.", f"{lost[0]}{' and others' if len(lost) > 1 else ''}", fix)
        damage = [one for step in preview(config, folder, store, files) for one in step.damage]
        recorded = files.names(store)
    finally:
        store.close()
    if damage:
        raise RunError("Files of the run are damaged.", one_line(damage), fix)
    _require_packed(folder, recorded)


def _require_packed(folder: RunFolder, recorded: Iterable[str]) -> None:
    """Stops where a link leads to what a stage has left: the archive would lack it."""
    linked = set(links(folder.root))
    for name in sorted(recorded):
        if link := next((str(one) for one in PurePosixPath(name).parents if str(one) in linked), None):
            fix = f"Put the folder itself in place of the link: {shown(folder.root / link)}"
            raise UserError(f"{link} is a link, and {name} lies behind it.", "Links are not packed.", fix)


def _require_names(names: Sequence[str]) -> None:
    if wrong := next((name for name in names if not portable(name)), None):
        fix = "Rename it, then pack the run."
        raise UserError(f"{wrong!a} cannot be packed.", "An archive has names in UTF-8, and this is none.", fix)


def links(root: Path) -> Iterator[str]:
    """Yields the paths of a run's links, below its folder; they are not packed."""
    for path in _all(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() and name not in {RUN_STORE, *_LEFT_OUT}:
            yield name


def _all(root: Path) -> Iterator[Path]:
    """Yields all that is below a folder, but what is staged for the Hub; what links lead to is not."""

    def stop(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read.", error.strerror or "", "Allow reading it.") from error

    for place, folders, files in os.walk(root, onerror=stop):
        if Path(place) == root and (staged := RunFolder(root).staged.name) in folders:
            folders.remove(staged)
        yield from (Path(place, name) for name in (*folders, *files))


def _files(root: Path) -> Iterator[str]:
    """Yields the paths of what is packed, below the run's folder; links lead elsewhere, and stay out."""
    for path in _all(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not path.is_file() or name in _LEFT_OUT or TEMPORARY.fullmatch(path.name):
            continue
        yield name


def _time(folder: RunFolder, name: str) -> int:
    return (folder.root / name).stat().st_mtime_ns


def _write(stream: IO[bytes], contents: Contents, paths: Mapping[str, Path], advance: Advance) -> None:
    import pyarrow

    compressed = pyarrow.CompressedOutputStream(pyarrow.PythonFile(_Kept(stream), mode="w"), "zstd")
    with compressed, tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        listed = contents.to_json()
        if len(listed) > LONGEST_LIST:
            cause = f"{len(contents.files):,} files are more than an archive's list can name."
            raise UserError("The run cannot be packed.", cause, "Take out what is not part of it.")
        archive.addfile(_entry(f"{contents.name}/{LIST}", len(listed), 0), io.BytesIO(listed))
        for name, entry in contents.files.items():
            with _Read(paths[name], advance) as source:
                member = _entry(f"{contents.name}/{name}", int(entry["size"]), int(entry["time"]) // 1_000_000_000)
                try:
                    archive.addfile(member, source)
                except OSError as error:
                    if "unexpected end of data" not in str(error):
                        raise
                    raise _changed(name) from error
                if source.hash() != entry["hash"]:
                    raise _changed(name)


def _entry(name: str, size: int, time: int) -> tarfile.TarInfo:
    """Returns a member that tells nothing of this machine's users."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, time, 0o644
    return entry


def _changed(name: str) -> RunError:
    return RunError(f"{name} was changed while it was packed.", "", "Pack the run again when nothing writes to it.")


class _Read:
    """A file that is hashed as it is read."""

    def __init__(self, path: Path, advance: Advance) -> None:
        self._file, self._hash, self._advance = path.open("rb"), xxhash.xxh3_128(), advance

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, count: int = PORTION) -> bytes:
        portion = self._file.read(count)
        self._hash.update(portion)
        self._advance(len(portion))
        return portion

    def hash(self) -> str:
        return self._hash.hexdigest()


class _Kept:
    """A stream that stays open when what writes to it is closed."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.write, self.flush = stream.write, stream.flush

    def close(self) -> None:
        """Does nothing."""
