"""The report as a page of the Hub: a static Space whose links lead to what was pushed, and nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import yaml

from synthetic_instruction_tuner.escaping import markdown, metadata
from synthetic_instruction_tuner.publishing.private_words import PrivateWords
from synthetic_instruction_tuner.run.folder import RunFolder

PAGE = "index.html"
_SHOWN = ("evaluation/figures", "evaluation/metrics")
_HTML_LINK = re.compile(r'<a href="(?!#)(?P<to>[^"]+)">(?P<text>.*?)</a>')
_LINK = re.compile(r"(?<![\\!])\[(?P<text>(?:\\.|[^\]\\])+)\]\((?P<to>[^)\s]+)\)")


def stage_report(
    folder: RunFolder,
    place: Path,
    title: str,
    words: PrivateWords,
    pages: Mapping[str, str],
    card: Mapping[str, object],
) -> None:
    """Writes the Space: the page, the report and the slides for reading elsewhere, figures and tables.

    Conversations and answers to benchmarks stay out, but for the report's few samples: they would put the benchmarks'
    items where models learn.

    Args:
        folder: the run.
        place: the Space's folder.
        title: the report's.
        words: what must not be in it.
        pages: addresses of what else was pushed, by paths below the run's folder.
        card: more metadata of the Space.
    """
    report, slides = folder.report, folder.presentation
    files = {PAGE: report.with_suffix(".html")}
    for path in (report, slides, slides.with_suffix(".md"), *_below(folder.root)):
        if path.is_file():
            files[path.relative_to(folder.root).as_posix()] = path
    for name, path in files.items():
        change: Callable[[str], str] = str
        if path.suffix in (".html", ".md"):
            pattern = _HTML_LINK if path.suffix == ".html" else _LINK
            change = partial(_relinked, pattern, folder.root, PurePosixPath(name).parent, frozenset(files), pages)
        words.copy(path, place / name, change)
    (place / "README.md").write_text(_card(title, card), encoding="utf-8")


def _below(root: Path) -> list[Path]:
    return sorted(path for part in _SHOWN for path in (root / part).rglob("*"))


def _relinked(
    pattern: re.Pattern[str], root: Path, at: PurePosixPath, files: frozenset[str], pages: Mapping[str, str], text: str
) -> str:
    """Returns a page of the run's folder ``docs`` whose links to the run's files lead to what was pushed of them."""

    def link(found: re.Match[str]) -> str:
        to = os.path.normpath(os.path.join("docs", unquote(found["to"]))).replace(os.sep, "/")
        if re.match(r"[a-z]+:", found["to"]) or not (to in files or (root / to).exists()):
            return found[0]  # leads elsewhere, or is a text that looks like a link
        if to in files:
            where = quote(os.path.relpath(to, at.as_posix()).replace(os.sep, "/"), safe="/.-_")
        elif to in pages:
            where = pages[to]
        else:
            return found["text"]
        return found[0].replace(found["to"], where)

    return pattern.sub(link, text)


def _card(title: str, more: Mapping[str, object]) -> str:
    head = {"title": title, "sdk": "static", "app_file": PAGE, "pinned": False, **more}
    shown = yaml.safe_dump(metadata(head), sort_keys=False, allow_unicode=True)
    text = "The report of a run of Synthetic Instruction Tuner; `docs/` has it and its slides for reading elsewhere."
    return f"---\n{shown}---\n\n# {markdown(title)}\n\n{text}\n"
