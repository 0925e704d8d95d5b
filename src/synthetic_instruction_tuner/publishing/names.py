"""Names of repositories: what the user asks for, and what is made of a run's own names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from synthetic_instruction_tuner.errors import UserError

LONGEST = 96  # characters of a repository's name, without its owner
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_RULES = "Names have letters from A to Z, digits, '-', '_' and '.', and at most 96 characters."


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run is pushed.

    Attributes:
        owner: the user or the organization.
        name: how the names of its repositories begin.
    """

    owner: str
    name: str

    def repository(self, *parts: str) -> str:
        """Returns the id of a repository, such as ``anna/nano-student-llama-sft``.

        Args:
            parts: what follows the name; signs that a repository's name cannot have become hyphens.
        """
        return f"{self.owner}/{_shortened('-'.join(filter(None, map(fitting, (self.name, *parts)))))}"


def target(text: str, run: str) -> Target:
    """Returns where a text says that a run is pushed.

    Args:
        text: ``OWNER/NAME``, or ``OWNER`` alone: the repositories are named after the run.
        run: the run's name.

    Raises:
        UserError: it is no name, or the run's own cannot be a repository's.
    """
    owner, slash, name = text.partition("/")
    problem = f"--to {text or repr(text)} is no name on the Hub."
    fix = "Write --to USER/NAME, or --to USER; an organization's name is possible too."
    if not _valid(owner) or (slash and not _valid(name)):
        raise UserError(problem, _RULES, fix)
    if not slash and not fitting(run):
        raise UserError(f"The run's name {run} cannot be a repository's.", _RULES, f"Name one: --to {owner}/NAME")
    return Target(owner, name or _shortened(fitting(run)))


def fitting(text: str) -> str:
    """Returns the text as a part of a repository's name; empty where no sign of it can be in one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text)
    return re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", plain)).strip("-.").removesuffix(".git")


def distinct(texts: Iterable[str]) -> dict[str, str]:
    """Returns by text what stands for it in a repository's name; the Hub does not tell capitals from small letters.

    Texts that would become the same, such as names in other scripts, get a hash of their own.
    """
    names = list(dict.fromkeys(texts))
    counts = Counter(fitting(name).casefold() for name in names)
    return {name: name if counts[fitting(name).casefold()] == 1 else f"{name}-{_hash(name)}" for name in names}


def _valid(part: str) -> bool:
    fits = len(part) <= LONGEST and _PART.fullmatch(part) is not None
    return fits and "--" not in part and ".." not in part and not part.endswith(".git")


def _shortened(name: str) -> str:
    """Cuts a name that is too long, and ends it with a hash of the whole: no two become the same."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9].rstrip('-.')}-{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
