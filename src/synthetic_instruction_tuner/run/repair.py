"""Before a run: opening and mending its store, putting damaged files aside, and forgetting what is to be repeated."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.stages.stage import Stage
from synthetic_instruction_tuner.run.store import StageState, Store
from synthetic_instruction_tuner.run.store.file import set_aside
from synthetic_instruction_tuner.run.written_files import Damage, WrittenFiles, keep_damaged


def open_store(
    folder: RunFolder, display: Display, files: WrittenFiles, stages: Sequence[str], repair: bool
) -> tuple[Store, dict[str, StageState]]:
    """Opens the run's store.

    Args:
        folder, display: the run.
        files: verifies its files.
        stages: the names of its stages.
        repair: drop damaged batches, and let every stage look at its work again; set an unreadable store aside.

    Returns:
        The store, and the states of the stages that were done before the repair.
    """
    if not repair:
        return Store.open(folder.store), {}
    try:
        store = Store.open(folder.store)
    except UserError:
        raise
    except SitError as error:
        aside = set_aside(folder.store)
        display.say(f"The store could not be read ({error.cause}); it was moved to {aside}, and the run starts over.")
        return Store.open(folder.store), {}
    for name in store.drop_damaged():
        display.say(f"Damaged, will be rebuilt: {name}.")
    files.read_all()
    states = [state for name in stages if (state := store.stage(name))]
    done = {state.name: state for state in states if state.status == "done"}
    for name in done:
        damage = files.damage(store, name)
        for one in damage:
            display.say(f"Damaged, will be made again: {one}.")
        keep_aside(damage, folder, display)
    for state in states:
        store.begin_stage(state.name, state.key, state.part)
    return store, done


def keep_aside(damage: Sequence[Damage], folder: RunFolder, display: Display) -> None:
    """Puts aside what is left of damaged files, and says under which names."""
    for one in damage:
        if kept := keep_damaged(one):
            display.say(f"  what it was is kept as {kept.relative_to(folder.root)}")


def forget(
    config: Config, folder: RunFolder, store: Store, every: Sequence[Stage], first: int, files: WrittenFiles
) -> None:
    """Removes the work and files of the stages from number `first` on, so that they run again from their beginning.

    A file that an earlier stage has left too, such as the data card, stays.
    """
    shared = {path for stage in every[:first] for path in stage.outputs(config, folder)}
    for stage in every[first:]:
        store.forget_stage(stage.name)
        store.drop_units(f"{stage.name}:")
        for path in {*stage.outputs(config, folder), *files.forget(store, stage.name)} - shared:
            if path.is_file() or path.is_symlink():
                path.unlink()
