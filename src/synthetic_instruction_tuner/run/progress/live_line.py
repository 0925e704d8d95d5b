"""The live line of a task: what does not fit the screen is left out, the count and the time left at last."""

from __future__ import annotations

from rich.cells import cell_len
from rich.progress import ProgressColumn, Task
from rich.text import Text

from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.reporting.screen.terminal import Console
from synthetic_instruction_tuner.reporting.screen.wrapping import shorten, visible

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR, SHORTEST_LABEL = 20, 10  # cells
FIGURES = " · "  # between the figures of a note, the most important first


class LiveLine(ProgressColumn):
    """The only column of the progress display: it fills the line by itself.

    A task's fields: `unit`, `note`, `left` (returns a `Left`) and `run` (returns the seconds left in total).
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        """Returns the line."""
        frame = FRAMES[int(task.get_time() * 10) % len(FRAMES)]
        return Text(line(task, frame, max(self._console.width - 1, 1)), no_wrap=True, overflow="crop")


def line(task: Task, frame: str, width: int) -> str:
    """Returns a task in one line of at most `width` cells, unless count and time left alone are longer."""
    left, unit, label = task.fields["left"](), visible(task.fields["unit"]), visible(task.description)
    total = f"/{task.total:,.0f}" if task.total else ""
    number, unit = (f"{task.completed:.0f} %", "") if unit == "%" else (f"{task.completed:,.0f}{total}", f" {unit}")
    if not total:
        return _joined([frame, label, f"{number}{unit}"], width, label)
    counts = (f"{number}{unit}, {left.words()}", f"{number}{unit}, {left.short()}", f"{number} {left.short()}")
    run = task.fields["run"]()
    whole = f"all stages {duration(run)}" if run > (left.seconds or 0.0) + 1 else ""
    drawn, notes = _bar(task.completed / task.total if task.total else 0.0), _shorter(visible(task.fields["note"]))
    for parts in (
        *([frame, label, drawn, counts[0], whole, note] for note in notes[:1]),
        *([frame, label, counts[0], whole, note] for note in notes[:1]),
        *([frame, label, counts[0], note] for note in notes),
        [frame, label, drawn, counts[0], whole],
        [frame, label, counts[0], whole],
        [frame, label, counts[0]],
        [frame, label, counts[1]],
    ):
        if cell_len(text := "  ".join(filter(None, parts))) <= width:
            return text
    for count in counts[1:]:
        room = width - cell_len(count) - 3
        if room >= SHORTEST_LABEL:
            return f"{frame} {shorten(label, room)} {count}"
        if cell_len(count) <= width:
            return count
    return counts[-1]


def _shorter(note: str) -> list[str]:
    """Returns a note of several figures, then with fewer and fewer of the last ones."""
    figures = note.split(FIGURES)
    return [FIGURES.join(figures[:count]) for count in range(len(figures), 0, -1)]


def _joined(parts: list[str], width: int, label: str) -> str:
    text = "  ".join(parts)
    over = cell_len(text) - width
    if over > 0:
        parts[1] = shorten(label, max(cell_len(label) - over, 0))
    return "  ".join(filter(None, parts))


def _bar(share: float) -> str:
    full = round(BAR * min(max(share, 0.0), 1.0))
    return "━" * full + "─" * (BAR - full)
