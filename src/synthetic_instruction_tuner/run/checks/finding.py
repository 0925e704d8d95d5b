"""A finding of the checks, and the error of a run that cannot start, which shows all of them with their fixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.errors import UserError


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor.

    Attributes:
        name: what was looked at.
        ok: whether a run can start.
        found: what was found.
        fix: what to do when it is not ok.
        awaited: whether a run starts anyway and waits for it.
        download_gb: how much a run downloads for it, in GB of 1e9 bytes; None where that is not known.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    awaited: bool = False
    download_gb: float | None = 0.0


class NotReady(UserError):
    """A run cannot start, for one reason or several; each is shown with its fix."""

    def __init__(self, bad: Sequence[Check]) -> None:
        self.bad = tuple(bad)
        first = bad[0]
        problem = f"The run cannot start: {first.name} is not ready."
        if len(bad) > 1:
            problem = f"The run cannot start: {len(bad)} things are not ready."
        super().__init__(problem, first.found, first.fix)

    def lines(self) -> list[str]:
        """Returns the lines to show: a fix that several faults have in common stands once, after the last of them."""
        if len(self.bad) == 1:
            return super().lines()
        shown = [self.problem]
        for check, fix in with_fixes(self.bad):
            shown.append(f"  {check.name}: {check.found}")
            shown += [f"    fix: {fix}"] if fix else []
        return shown


def with_fixes(checks: Iterable[Check]) -> Iterator[tuple[Check, str]]:
    """Yields each finding with the fix to show after it; findings with the same fix follow each other."""
    groups: dict[object, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.name if check.ok else check.fix, []).append(check)
    for group in groups.values():
        together = f" ({len(group)} times)" if len(group) > 1 else ""
        for check in group[:-1]:
            yield check, ""
        last = group[-1]
        yield last, last.fix + together if last.fix and not last.ok else ""
