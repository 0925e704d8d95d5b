"""Stages the parts of a run: a folder for each repository, below ``push`` in the run's folder, as the Hub will have it.

An export that is there already, whole, is kept; all else is written anew, which takes moments.
"""

from __future__ import annotations

import getpass
import json
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.publishing.private_words import PrivateWords, is_telling, places_of
from synthetic_instruction_tuner.publishing.repository import PLURALS, Repository
from synthetic_instruction_tuner.run.exports.facts import card_facts, training_metrics
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.publishing.parts import DATA_SETS, Part
from synthetic_instruction_tuner.run.publishing.report_page import stage_report
from synthetic_instruction_tuner.run.stages.data_card import data_card_facts
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.written_files import require_whole

# Names of users and machines that say nothing, since very many have them; paths with them are in what models write.
_COMMON = {"localhost", "admin", "ubuntu", "runner", "jovyan", "docker", "colab", "debian", "student"}
_COMMON |= {"user", "username", "root", "vscode", "ec2-user", "jupyter", "default", "workspace"}
_SHORTEST_NAME = 5  # characters: a shorter one is a part of too many texts


@dataclass(frozen=True, slots=True)
class Staging:
    """What all parts of a run are staged from.

    Attributes:
        config: the run's settings.
        folder: the run.
        store: its store.
        parts: all that are pushed.
        evaluated: whether stage evaluate is up to date.
        words: what must not be in them.
        endpoint: the Hub's address, for links.
    """

    config: Config
    folder: RunFolder
    store: Store
    parts: Sequence[Part]
    evaluated: bool
    words: PrivateWords
    endpoint: str

    def stage(self, part: Part, step: Callable[[str], None]) -> Repository:
        """Writes the folder of a part, and makes sure that nothing private is in it.

        Args:
            part: one of `parts`.
            step: is told what is done next.

        Raises:
            SitError: it cannot be made, or something private is in it.
        """
        place = self.folder.staged / PLURALS[part.kind] / part.id
        if part.what in ("data", "report"):
            step(f"staging the {part.what}")
            work = place.with_name(f".{place.name}.new")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            (self._data if part.what == "data" else self._report)(part, work)
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)
        else:
            self._model(part, place, step)
        made = Repository(part.id, part.kind, part.name, part.title, place)
        named = {f"{part.id}: {name}": path for name, path in made.files().items()}
        self.words.require_absent(named, texts=part.kind != "model")
        return made

    def _data(self, part: Part, work: Path) -> None:
        from synthetic_instruction_tuner.reporting.data_card import data_card
        from synthetic_instruction_tuner.reporting.language.translation import speaking

        units = {name: f"{name}:{state.key}" for name in part.stages if (state := self.store.stage(name))}
        facts = data_card_facts(self.config, self.folder, self.store, units)
        source = self.folder.data_card.parent
        for data_set in facts.sets:
            self.words.copy(source / data_set.file, work / data_set.file)
        for report in (self.folder.filter_report, self.folder.preference_report):
            page = report.with_suffix(".md")
            if page.is_file() and (work / page.parent.name).is_dir():
                self.words.copy(page, work / page.relative_to(source))
        with speaking(self.config.report.language):
            text = data_card(replace(facts, missing=tuple(part.missing), repository=part.id))
        write_text(work / "README.md", self.words.without(text))

    def _report(self, part: Part, work: Path) -> None:
        data = [one for one in self.parts if one.what == "data"]
        models = [one.id for one in self.parts if one.kind == "model"]
        files = {"generate": self.folder.raw, "filter": self.folder.filtered, "prefer": self.folder.pairs}
        pages = {
            files[stage].relative_to(self.folder.root).as_posix(): self._page(one, files[stage])
            for one in data
            for stage in one.stages
        }
        card: dict[str, object] = {"tags": ["synthetic-instruction-tuner"]}
        card |= {"models": models} if models else {}
        card |= {"datasets": [one.id for one in data]} if data else {}
        stage_report(self.folder, work, self.config.report.title, self.words, pages, card)

    def _page(self, data: Part, file: Path) -> str:
        path = file.with_suffix(".parquet").relative_to(self.folder.data_card.parent).as_posix()
        return f"{self.endpoint}/datasets/{data.id}/blob/main/{path}"

    def _model(self, part: Part, place: Path, step: Callable[[str], None]) -> None:
        from synthetic_instruction_tuner.exporting.export import Export
        from synthetic_instruction_tuner.exporting.folder import recorded

        assert part.student and part.method
        student, method = part.student, part.method
        adapter = self.folder.adapter(method.name, student.name)
        require_whole(self.folder, method.name, adapter)
        quantized = str(training_metrics(self.folder, method.name, student).get("quantized", ""))
        job = Export(student, method.name, adapter, part.what == "adapters", trained_in=quantized)
        facts = card_facts(self.config, self.folder, student, method, self.evaluated)
        data = [one.id for one in self.parts if one.what == "data"]
        facts = replace(facts, repository=part.id, data_repositories=data)

        def said(what: str) -> None:
            step(f"{part.title}: {what}")

        try:
            job.write(place, facts, step=said)
        except UserError:
            if recorded(place) is None:
                raise
            job.write(place, facts, force=True, step=said)  # what was staged before is of an earlier training


def private_words(config: Config, folder: RunFolder, owner: str, secrets: Sequence[str]) -> PrivateWords:
    """Returns what must not be in what is pushed of a run.

    Args:
        config: its settings, whose paths are this machine's.
        folder: the run.
        owner: who pushes it, whose name everybody will read.
        secrets: what else nobody may see.
    """
    settings = config.model_dump(mode="json")
    places = places_of(_texts(settings))
    for root in (folder.root.absolute(), folder.root.resolve()):
        if is_telling(str(root)):
            places[str(root)] = root.name
    with suppress(RuntimeError):
        if is_telling(str(home := Path.home())) and home.name.casefold() not in _COMMON:
            places[str(home)] = "~"
    known = json.dumps([settings, owner, folder.root.resolve().name, list(DATA_SETS)]).casefold()
    names = {name for name in _machine() if len(name) >= _SHORTEST_NAME and name.casefold() not in known}
    return PrivateWords(places, frozenset(names - _COMMON), frozenset(filter(None, secrets)))


def _machine() -> Iterator[str]:
    """Yields the names of this machine and of its user."""
    with suppress(OSError):
        yield from {socket.gethostname(), socket.gethostname().partition(".")[0]}
    with suppress(OSError, KeyError, ImportError):
        yield getpass.getuser()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def remarks_on(parts: Sequence[Part]) -> list[str]:
    """Returns what the licenses of base models ask of those who publish what was made from them."""
    from synthetic_instruction_tuner.reporting.licenses import strictest
    from synthetic_instruction_tuner.reporting.model_facts import model_facts

    found: dict[str, None] = {}
    for part in parts:
        if part.student is not None:
            facts = model_facts("student", part.student)
            found |= dict.fromkeys(f"{facts.name}: {note}" for note in strictest([facts.license]).notes)
            if facts.license is None:
                found[f"{facts.name}: its license is not known here; look it up before others can see this."] = None
    return list(found)
