"""The embedded models: eight tiny ones that make a whole run possible offline, on a CPU, in minutes.

`generator` writes instructions and answers, the three responders answer with visibly different skill, the three
students are base models that know the skills but no chat format, and `reward` scores answers.

Imports nothing of the package; `world` imports records, `training` also data_files and models.
Start with `world.mixture` (what the models know) and `training.recipes` (what each model is).
"""

from __future__ import annotations

from pathlib import Path

RESPONDERS = ("responder-llama", "responder-mistral", "responder-qwen2")
STUDENTS = ("student-llama", "student-mistral", "student-qwen2")
NAMES = ("generator", *RESPONDERS, *STUDENTS, "reward")


def path(name: str) -> Path:
    """Returns the folder of a packaged model, in the form that `from_pretrained` takes.

    Raises:
        KeyError: there is no model of that name.
    """
    if name not in NAMES:
        raise KeyError(f"there is no nano model {name!r}, only {', '.join(NAMES)}")
    return Path(__file__).parent / "weights" / name
