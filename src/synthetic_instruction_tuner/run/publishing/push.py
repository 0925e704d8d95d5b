"""Pushes a run: stages its parts, compares each with what the Hub has, then uploads what is new."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import SitError, UserError, together
from synthetic_instruction_tuner.exporting.card import on_hub
from synthetic_instruction_tuner.exporting.export import STEPS
from synthetic_instruction_tuner.publishing.names import Target
from synthetic_instruction_tuner.publishing.repository import Repository
from synthetic_instruction_tuner.publishing.upload import Uploaded, Uploads
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import preview
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.publishing.parts import Choice, Part, parts_of
from synthetic_instruction_tuner.run.publishing.staging import Staging, private_words, remarks_on
from synthetic_instruction_tuner.run.store import Store

RUN_ID = "publication"
"""The fact that tells a run's repositories from those of other runs."""
_WEIGHTS = ("merged", "soft_prompt")  # hold those of the base model too
_COLLECTED = "Data, tuned models and report of one run of Synthetic Instruction Tuner."


@dataclass(frozen=True, slots=True)
class Staged:
    """A run that is ready to be uploaded.

    Attributes:
        run: its id.
        name: its name.
        target: where it is pushed.
        parts: what is pushed, in the order of `repositories`.
        repositories: the staged folders.
        missing: what was asked for and is not there, a sentence each.
        remarks: what licenses ask of who publishes it.
    """

    run: str
    name: str
    target: Target
    parts: Sequence[Part]
    repositories: Sequence[Repository]
    missing: Sequence[str]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was uploaded.

    Attributes:
        repositories: one by one.
        collection: its address; empty where there is only one repository, or where it could not be made.
        uncollected: why it could not be made.
    """

    repositories: Sequence[Uploaded]
    collection: str = ""
    uncollected: str = ""


def stage(
    config: Config, folder: RunFolder, target: Target, choice: Choice, display: Display, endpoint: str, token: str = ""
) -> Staged:
    """Stages what is asked for of a run; nobody else may change the run meanwhile.

    Args:
        config: the run's settings.
        folder: the run.
        target: where it is pushed.
        choice: what is asked for.
        display: shows how far it is.
        endpoint: the Hub's address.
        token: of the Hub, to make sure that it is nowhere in what is pushed.

    Raises:
        SitError: nothing is there, or something cannot be staged.
    """
    with folder.hold():
        store = Store.open(folder.store)
        try:
            steps = preview(config, folder, store)
            parts, missing = parts_of(config, folder, steps, target, choice)
            run = store.fact(RUN_ID)
            if run is None:
                store.set_fact(RUN_ID, run := secrets.token_hex(16))
            evaluated = any(step.stage.name == "evaluate" and step.action == "skip" for step in steps)
            words = private_words(config, folder, f"{target.owner}/{target.name}", [token])
            staging = Staging(config, folder, store, parts, evaluated, words, endpoint)
            steps_in_all = sum(STEPS if part.kind == "model" else 1 for part in parts)
            with display.task("staging", steps_in_all, "steps") as advance:
                made = [staging.stage(part, lambda what: advance(1, what)) for part in parts]
        finally:
            store.close()
    return Staged(str(run), folder.root.resolve().name, target, parts, made, missing, remarks_on(parts))


def upload(
    staged: Staged,
    uploads: Uploads,
    display: Display,
    *,
    public: bool = False,
    force: bool = False,
    license_accepted: bool = False,
) -> Pushed:
    """Uploads what was staged. All repositories are compared before the first one is changed.

    Args:
        staged: what `stage` returned.
        uploads: the connection.
        display: shows how far it is.
        public: whether everybody may see it.
        force: whether other content of the repositories may be replaced.
        license_accepted: whether the weights of gated base models may be published.

    Raises:
        SitError: a repository holds something else, or the Hub, or the network, refuses.
    """
    if public and not license_accepted:
        require_open(staged.parts, uploads)
    compared, faults = [], list[SitError]()
    with display.task("comparing with the Hub", len(staged.repositories), "repositories") as advance:
        for repository in staged.repositories:
            try:
                compared.append(uploads.compared(repository, staged.run, public, force))
            except UserError as error:
                faults.append(error)
            advance(1)
    if faults:
        raise together(faults)
    done = []
    total = sum(one.size for one in compared)
    with display.task("uploading", max(1, total // 1_000_000), "MB") as advance:
        sent = 0

        def progress(size: int, name: str) -> None:
            nonlocal sent
            before, sent = sent, sent + size
            advance(sent // 1_000_000 - before // 1_000_000, name)

        for one in compared:
            message = f"{one.repository.title} of run {staged.name}, pushed with sit {__version__}"
            done.append(uploads.upload(one, message, public, progress))
    if len(done) == 1:
        return Pushed(done)
    owner, title = staged.target.owner, staged.target.name
    try:
        return Pushed(done, uploads.collect(owner, title, _COLLECTED, staged.repositories, public))
    except UserError as error:  # a token may write to repositories alone; all of them are there
        return Pushed(done, uncollected=f"{error.problem} {error.cause}")


def require_open(parts: Sequence[Part], uploads: Uploads) -> None:
    """Stops before weights are published that their maker gives only to those who accept its license.

    Raises:
        UserError: a base model is gated.
    """
    bases = {part.student.path for part in parts if part.what in _WEIGHTS and part.student and on_hub(part.student)}
    for base in sorted(bases):
        if uploads.gated(base):
            raise UserError(
                f"{base} is gated, and its weights would become public.",
                "Its maker gives them only to those who accept its license.",
                "Push the adapters alone (--what adapters), push without --public, or read the license and add "
                "--accept-license.",
            )
