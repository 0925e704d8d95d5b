"""Whether a judge is related to what it judges, and what it is called in every table.

A judge that shares a family with a student favors it. One that shares a family with the generator or with what scored
the preference pairs has taught the students its own taste: what it finds better after training is partly built in.
"""

from __future__ import annotations

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.config.sections.mt_bench import MtJudgeConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.families import families

UNRELATED = "microsoft/phi-4 (MIT, 14.7 billion parameters)"


def relatives(judge: ModelConfig, config: Config) -> list[str]:
    """Returns the models of the run that the judge is of one family with: "student Qwen2.5-3B (qwen)"."""
    models = config.models
    scored = models.judge if config.prefer.scorer == "judge" and models.judge else models.reward
    what = "judge" if config.prefer.scorer == "judge" and models.judge else "reward model"
    used = [("student", student) for student in models.students]
    if config.data.magpie:
        used.append(("generator", models.generator))
    if not config.data.pairs:
        used.append((f"{what} of the pairs", scored))
    own = families(judge)
    return [
        f"{role} {model.name} ({', '.join(sorted(shared))})"
        for role, model in used
        if (shared := own & families(model))
    ]


def related_judge(settings: MtJudgeConfig, config: Config) -> UserError | None:
    """Returns why the judge cannot be used with the models of a run; None where it can, or there is none."""
    if settings.model is None or settings.allow_related_judge:
        return None
    if not (found := relatives(settings.model, config)):
        return None
    return UserError(
        f"The judge {settings.model.name} is of the same family as models whose work it would judge.",
        f"It is related to {', '.join(found)}.",
        f"Set evaluate.mt_bench.judge.model to another model, such as {UNRELATED}. To use this one all the same, set "
        "evaluate.mt_bench.judge.allow_related_judge=true; every table will say so.",
    )


def judge_label(settings: MtJudgeConfig, config: Config) -> str:
    """Returns the judge's name as it stands in every table, with its relatives if there are any."""
    if settings.model is None:
        return "none"
    found, name = relatives(settings.model, config), settings.model.name
    return f"{name}, related to {'; '.join(found)}" if found else name
