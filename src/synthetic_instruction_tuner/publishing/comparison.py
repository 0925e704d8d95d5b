"""What a push would change in a repository, from what is staged and what the Hub already has.

A repository that was pushed says so in a file of its own, `MARK`: from which run, which part of it, and which files. So
another run's repository is told from one's own, and what somebody has changed on the Hub from what was pushed before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.publishing.repository import Digest, Repository

MARK = "sit_push.json"
OWN = {".gitattributes"}  # what the Hub itself writes into a new repository
_NAMED = 3  # files that a message names


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the Hub.

    Attributes:
        size: bytes.
        blob: git's SHA-1; of a large file that of what stands in its place.
        sha256: of the content of a large file; None of others.
    """

    size: int
    blob: str
    sha256: str | None = None

    def same(self, file: Digest) -> bool:
        """Returns whether it has this content."""
        known = self.blob == file.blob if self.sha256 is None else self.sha256 == file.sha256
        return known and self.size == file.size


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository on the Hub.

    Attributes:
        private: whether only its owners see it.
        head: its last commit.
        files: by path.
        mark: what `MARK` says in it; None where there is none that can be read.
        new: whether it is as the Hub has made it, with a template at most.
    """

    private: bool
    head: str | None = None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    mark: Mapping[str, Any] | None = None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a push does to a repository.

    Attributes:
        add: files that are new or different.
        delete: files that are no longer part of it.
        mark: the new content of `MARK`.
        marked: whether that is already there.
    """

    add: Sequence[str]
    delete: Sequence[str]
    mark: bytes
    marked: bool

    @property
    def none(self) -> bool:
        """Whether all is there already."""
        return not self.add and not self.delete and self.marked


def changes(
    repository: Repository, files: Mapping[str, Digest], remote: Remote | None, run: str, force: bool = False
) -> Changes:
    """Returns what a push does.

    Args:
        repository: what is pushed.
        files: what is staged of it, by path.
        remote: what the Hub has; None for nothing.
        run: the run's own id.
        force: whether other content may be replaced. It stays in the repository's history.

    Raises:
        UserError: the repository holds something else, or was changed on the Hub, and nothing is forced.
    """
    there = {name: file for name, file in (remote.files if remote else {}).items() if name not in OWN}
    before = _marked_files(remote)
    ours = remote is not None and _is_ours(remote.mark, repository, run)
    if remote is not None and not force:
        if there and not ours and not remote.new:
            raise _other_content(repository, remote, sorted(there))
        if not remote.new and (edited := _edited(before, files, there)):
            raise _edited_on_the_hub(repository, edited)
    gone = [name for name in there if name not in files and name != MARK]
    all_go = remote is not None and (remote.new or (force and not ours))
    mark = _mark(repository, files, run)
    return Changes(
        add=[name for name, file in files.items() if name not in there or not there[name].same(file)],
        delete=sorted(name for name in gone if all_go or name in before),
        mark=mark,
        marked=remote is not None and remote.mark == json.loads(mark),
    )


def _mark(repository: Repository, files: Mapping[str, Digest], run: str) -> bytes:
    plain = {"format": 1, "run": run, "part": repository.part, "files": {n: asdict(f) for n, f in files.items()}}
    return (json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _is_ours(mark: Mapping[str, Any] | None, repository: Repository, run: str) -> bool:
    return mark is not None and (mark.get("run"), mark.get("part")) == (run, repository.part)


def _marked_files(remote: Remote | None) -> dict[str, Digest]:
    found = (remote.mark if remote else None) or {}
    files = found.get("files")
    try:
        return {str(name): Digest(**entry) for name, entry in files.items()} if isinstance(files, dict) else {}
    except TypeError:
        return {}


def _edited(before: Mapping[str, Digest], files: Mapping[str, Digest], there: Mapping[str, RemoteFile]) -> list[str]:
    """Returns the files that would go and are not what was pushed before; others of the user's own stay."""
    theirs = [name for name, file in there.items() if name not in before or not file.same(before[name])]
    named = [name for name in theirs if name != MARK and (name in before or name in files)]
    return sorted(name for name in named if name not in files or not there[name].same(files[name]))


def _other_content(repository: Repository, remote: Remote, names: Sequence[str]) -> UserError:
    if remote.mark is None:
        held = f"It contains {_listed(names)}, and was not pushed by sit."
    else:
        held = f"It holds {remote.mark.get('part')} of another run."
    fix = "Push to another name (--to). With --force its files are replaced; they stay in its history."
    return UserError(f"The {repository.kind} {repository.id} holds something else.", held, fix)


def _edited_on_the_hub(repository: Repository, names: Sequence[str]) -> UserError:
    fix = "Save what you want to keep of it. With --force it is replaced; it stays in the repository's history."
    return UserError(
        f"The {repository.kind} {repository.id} was changed on the Hub.", f"Changed since: {_listed(names)}.", fix
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
