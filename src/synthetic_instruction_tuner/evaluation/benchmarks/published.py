"""Public benchmarks: what they are, where their files come from, and where they are on this machine.

The filter (no record may be an item) and the evaluation (models answer the items) find them here. Their texts are not
part of this package. Files are looked for in the user's folder first, then in the Hugging Face cache; `download` brings
what is published into that cache, once: from the Hub, or file by file from elsewhere (`web_files`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.evaluation.benchmarks.items import benchmark_files
from synthetic_instruction_tuner.evaluation.benchmarks.web_files import MT_BENCH, WebFile, fetch_files, kept_in, lacks


@dataclass(frozen=True, slots=True)
class Published:
    """Where a benchmark is published.

    Attributes:
        repository: its data set on the Hub; None if it has none that will do.
        web: the files that are downloaded one by one instead, where the data set does not hold all that is needed.
        revision: the commit of that data set that is downloaded; None for the latest.
        files: patterns of its files there.
        items: how many distinct items its test part has, about; None where versions differ much.
        elsewhere: what to do where the Hub cannot help.
        layout: what its subfolder of the user's folder holds.
        license: of the items.
        digest: hash of the complete items, as `Availability.digest` has it; empty where no published copy was at hand
            to compute it from.
    """

    repository: str | None
    files: tuple[str, ...] = ()
    items: int | None = None
    elsewhere: str = ""
    revision: str | None = None
    layout: str = ""
    license: str = ""
    digest: str = ""
    web: tuple[WebFile, ...] = ()


PUBLISHED = {
    "ifeval": Published(
        "google/IFEval",
        ("*.jsonl", "*.parquet"),
        541,
        revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
        layout="input_data.jsonl",
        license="Apache-2.0",
        digest="25bf46eb173905d5",
    ),
    "mmlu": Published(
        "cais/mmlu",
        ("all/test-*", "all/validation-*", "all/dev-*"),
        14_042,
        revision="c30699e8356da336a370243923dbaf21066bb9fe",
        layout="test/SUBJECT_test.csv and dev/SUBJECT_dev.csv, or the Hub's Parquet files",
        license="MIT",
    ),
    "mt_bench": Published(
        "HuggingFaceH4/mt_bench_prompts",
        ("*.jsonl", "*.parquet"),
        160,
        layout="question.jsonl, judge_prompts.jsonl and reference_answer/ of lm-sys/FastChat",
        license="Apache-2.0",
        web=MT_BENCH,
    ),
    "agentbench": Published(
        None,
        elsewhere="put the folder data/ of the GitHub repository THUDM/AgentBench there",
        layout="data/ of THUDM/AgentBench",
        license="Apache-2.0",
    ),
}


@dataclass(frozen=True, slots=True)
class Availability:
    """What this machine has of a benchmark.

    Attributes:
        items: how many items can be evaluated.
        origin: where they are from, without a path.
        digest: a hash of all of them, the same for every file format.
        missing: what is missing, in a sentence; empty where nothing is.
        how: how to get it.
        complete: whether all published items are there.
        found: how many items are on this machine, whatever the settings choose.
        published: how many there are.
        parts: what part of the benchmark is there, such as ``18 of 57 subjects``; empty where none is missing.
    """

    items: int = 0
    origin: str = ""
    digest: str = ""
    missing: str = ""
    how: str = ""
    complete: bool = False
    found: int = 0
    published: int = 0
    parts: str = ""

    @property
    def usable(self) -> bool:
        """Whether the benchmark can run."""
        return self.items > 0

    def chosen(self, asked: int) -> str:
        """Says in a sentence which of the published items these many are."""
        if asked >= self.published:
            return f"All {self.published:,} published items."
        of = f"{asked:,} of {self.published:,} published items"
        lacking = self.found < self.published
        if asked < self.found:
            place = f" of the {self.found:,} on this machine" if lacking else ""
            return f"{of}, a fixed random subset{place}{f' ({self.parts})' if self.parts else ''}."
        return f"{of}{f', {self.parts}' if self.parts else ''}; the others are not on this machine."


def nothing(name: str) -> Availability:
    """Returns what is said of a benchmark of which this machine has no files."""
    published = PUBLISHED[name]
    how = f"Run 'sit benchmarks fetch', or put {published.layout} into {name}/ of evaluate.data_dir."
    return Availability(missing="Its files are not on this machine.", how=how)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a benchmark's files, and what to call it without a path."""

    folder: Path
    origin: str


def place_of(name: str, folder: str | os.PathLike[str] | None) -> Place | None:
    """Returns where a benchmark's files are: in its subfolder of the user's folder, else in the Hugging Face cache."""
    if folder is not None:
        own = Path(folder).expanduser() / name
        if own.is_dir():
            return Place(own, "folder")
    published = PUBLISHED[name]
    if published.web and not lacks(name, published.web):
        return Place(kept_in(name), "download")
    cached = next(_snapshots(published.repository, published.revision), None) if published.repository else None
    return Place(cached, f"Hub {published.repository}") if cached else None


def to_fetch(name: str, folder: str | os.PathLike[str] | None) -> bool:
    """Returns whether `download` brings something of a benchmark that this machine lacks."""
    place, published = place_of(name, folder), PUBLISHED[name]
    if published.web:
        return place is None or place.origin not in ("folder", "download")
    return place is None and published.repository is not None


def download(name: str) -> str:
    """Brings a benchmark into the cache; returns why that failed, or an empty text."""
    published = PUBLISHED[name]
    return fetch_files(name, published.web) if published.web else _download_from_hub(published)


def download_items(name: str) -> str:
    """Brings at least a benchmark's items, which may be on the Hub although not all of its files are; as `download`."""
    problem, published = download(name), PUBLISHED[name]
    return _download_from_hub(published) if problem and published.web and published.repository else problem


def _download_from_hub(published: Published) -> str:
    from huggingface_hub import HfApi, snapshot_download

    assert published.repository
    try:
        # Asked first, since a download of a known revision tries for half a minute where there is no network.
        HfApi().repo_info(published.repository, repo_type="dataset", revision=published.revision, timeout=10)
        snapshot_download(
            published.repository,
            repo_type="dataset",
            revision=published.revision,
            allow_patterns=list(published.files),
            etag_timeout=10,
        )
    except Exception as error:  # network libraries raise many types; the message is the same for all of them
        return f"the Hub cannot be reached ({type(error).__name__})"
    return ""


def _snapshots(repository: str, revision: str | None) -> Iterator[Path]:
    """The repository's snapshots in the cache that hold items: the known revision, the current one, others."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE) / f"datasets--{repository.replace('/', '--')}"
    try:
        folders = list((cache / "snapshots").iterdir())
    except OSError:
        return
    try:
        current = (cache / "refs" / "main").read_text().strip()
    except OSError:  # a download of one revision leaves no such file
        current = ""
    folders.sort(key=lambda folder: (folder.name != revision, folder.name != current, folder.name))
    yield from (folder for folder in folders if benchmark_files(folder))
