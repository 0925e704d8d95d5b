"""The stages of the pipeline as a run with the user's own data has them."""

from __future__ import annotations

import dataclasses
from typing import Any

from synthetic_instruction_tuner.config import Config, fingerprint, starting_method
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.run.own_data.needs import reads, skip_reasons
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage

FACTS = {
    "generate": ("generator_health", "generate_target", "own_records"),
    "filter": ("filter_report",),
    **{method.name: (f"training:{method.name}",) for method in METHODS},
}


def fitted(config: Config, stage: Stage) -> Stage:
    """Returns the stage as this run needs it: as it is, reading files instead of asking models, or doing nothing."""
    why, subject = skip_reasons(config).get(stage.name, ""), stage.title.split(":")[0]
    if not why:
        alone = any(m.name == stage.name and m.starts_from and not starting_method(config, m) for m in METHODS)
        return dataclasses.replace(stage, title=f"{subject}: from the base model, without SFT") if alone else stage
    title = f"{subject}: not needed"
    if reads(config, stage.name):
        what = stage.units[1] if stage.name == "prefer" else "records"
        return dataclasses.replace(
            stage, title=f"{title}, your own {what} are read", inputs=(), units=(what, what), skipped=why
        )
    return dataclasses.replace(
        stage,
        title=title,
        part=lambda _: {"skipped": True},
        outputs=lambda *_: [],
        run=lambda ctx: _skip(ctx, why),
        so_far=None,
        skipped=why,
    )


def own_files_changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Returns which files of the user's own have changed since a stage ran, if nothing but their content has."""
    before, after = old.get("data"), new.get("data")
    rest = [{name: value for name, value in part.items() if name != "data"} for part in (old, new)]
    if (
        not (isinstance(before, dict) and isinstance(after, dict))
        or rest[0] != rest[1]
        or before.keys() != after.keys()
    ):
        return ""
    was, now = (_files(part) for part in (before, after))
    if was == now or [one["file"] for one in was] != [one["file"] for one in now]:
        return ""
    changed = [one["file"] for one, other in zip(now, was, strict=True) if one != other]
    return f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed"


def _files(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for files in part.values() if isinstance(files, list) for one in files]


def _skip(ctx: Context, why: str) -> Outcome:
    """Forgets what an earlier run in this folder has found out in this stage: nothing of it is true of this one."""
    for name in FACTS[ctx.stage]:
        ctx.store.set_fact(name, None)
    return Outcome(fingerprint("skipped"), note=why)
