"""Preference pairs: models answer prompts, a reward model or a judge scores the answers, the best beats a worse one.

May import config, records, errors, data_files, models, chat and engines; importing it loads neither torch nor
transformers. Start with `preference_builder`, whose docstring has a complete example; then `pair_selection`.
"""

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.judge import Judge
    from synthetic_instruction_tuner.preference.pair_selection import SkippedRecord
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.report import PreferenceReport
    from synthetic_instruction_tuner.preference.reward.model import RewardModel, open_reward_model

__all__ = ["Judge", "PreferenceBuilder", "PreferenceReport", "RewardModel", "SkippedRecord", "open_reward_model"]

__getattr__ = lazy_names(
    __name__,
    {
        "Judge": "judge",
        "PreferenceBuilder": "preference_builder",
        "PreferenceReport": "report",
        "RewardModel": "reward.model",
        "SkippedRecord": "pair_selection",
        "open_reward_model": "reward.model",
    },
)
