"""What to do about a rule that drops too many records: advice that fits the rule and what it found.

Used where a target is not reached and where nothing is left. `tests/filtering/test_advice.py` holds `ADVICE` to the
rules that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.config.languages import NAMES
from synthetic_instruction_tuner.filtering.disclaimers import is_disclaimer
from synthetic_instruction_tuner.filtering.rule import Verdict


def advice(failure: Verdict, config: FilterConfig, asked_language: str | None = None) -> str:
    """Returns what to change so that fewer records fail like this one, without a final stop.

    Args:
        failure: a verdict against a record.
        config: the filter's settings.
        asked_language: the language that the generator was asked for, as the record's provenance says.
    """
    if failure.rule == "language" and asked_language == config.language:
        return _cannot_write(failure, config)
    known = ADVICE.get(failure.rule)
    return known(failure, config) if known else f"loosen the rule {failure.rule} in the filter's settings"


def _empty(failure: Verdict, _: FilterConfig) -> str:
    return (
        f"no {failure.value or 'text'} was written: see the note of stage generate for requests that failed, and look "
        "at the generator's texts with 'sit doctor MODEL'"
    )


def _length(failure: Verdict, config: FilterConfig) -> str:
    if _below(failure, config.min_words):
        return f"the responses are short: lower filter.min_words ({config.min_words}), or ask for longer answers"
    too_long = f"the responses are long: raise filter.max_words ({config.max_words})"
    return f"{too_long}, or lower generate.response.max_new_tokens"


def _tokens(failure: Verdict, config: FilterConfig) -> str:
    if _below(failure, config.min_tokens):
        return f"the responses are short: lower filter.min_tokens ({config.min_tokens}), or ask for longer answers"
    too_long = f"the responses are long: raise filter.max_tokens ({config.max_tokens})"
    return f"{too_long}, or lower generate.response.max_new_tokens"


def _truncated(failure: Verdict, _: FilterConfig) -> str:
    part = "instruction" if str(failure.value).startswith("instruction") else "response"
    return f"the {part}s are cut off: raise generate.{part}.max_new_tokens, or set filter.drop_truncated=false"


def _repetition(setting: str) -> Callable[[Verdict, FilterConfig], str]:
    def text(_: Verdict, config: FilterConfig) -> str:
        return (
            "the generator repeats itself within a response: raise generate.response.temperature, use a larger "
            f"generator, or raise filter.{setting} ({getattr(config, setting):g})"
        )

    return text


def _refusal(failure: Verdict, config: FilterConfig) -> str:
    if is_disclaimer(failure):
        return "the generator disclaims before it answers: keep such answers with filter.refusal_disclaimers=keep"
    other = ", or set filter.refusal_rule=form" if config.refusal_rule == "keywords" else ""
    return (
        "the generator refuses its own questions: use another generator, add domains or topics that it answers, or "
        f"shorten filter.refusal_phrases{other}"
    )


def _language(failure: Verdict, config: FilterConfig) -> str:
    found, name, wanted = _languages(failure, config)
    return (
        f"the texts are in {name}: ask for {wanted} with generate.language={config.language} if the generator can "
        f"write it, or keep {name} with filter.language={found}"
    )


def _cannot_write(failure: Verdict, config: FilterConfig) -> str:
    found, name, wanted = _languages(failure, config)
    return (
        f"the generator was asked for {wanted} and writes {name}: use a generator that can write {wanted}, or keep "
        f"{name} with filter.language={found}"
    )


def _languages(failure: Verdict, config: FilterConfig) -> tuple[str, str, str]:
    """Returns the code and the name of the language found, and the name of the wanted one."""
    found = str(failure.value or "").partition(" ")[0]
    return found, NAMES.get(found, found), NAMES.get(config.language, config.language)


def _contamination(_: Verdict, config: FilterConfig) -> str:
    other = ", or set filter.contamination.match=exact" if config.contamination.common_match != "exact" else ""
    return (
        "the generator repeats benchmark items: raise generate.instruction.temperature, add domains or topics, or use "
        f"another generator{other}"
    )


def _tags(_: Verdict, config: FilterConfig) -> str:
    tags = config.tags
    limits = {
        f"lower filter.tags.min_quality ({tags.min_quality})": tags.min_quality > 1,
        f"lower filter.tags.min_difficulty ({tags.min_difficulty})": tags.min_difficulty > 1,
        f"raise filter.tags.max_difficulty ({tags.max_difficulty})": tags.max_difficulty < 5,
        "add to filter.tags.categories": bool(tags.categories),
    }
    return f"their tags are not wanted: {', '.join(text for text, is_set in limits.items() if is_set)}"


def _reward(_: Verdict, config: FilterConfig) -> str:
    return (
        f"the reward model scores them low: lower filter.min_reward ({config.min_reward:g}), or use a better generator"
    )


def _near_duplicates(_: Verdict, config: FilterConfig) -> str:
    return (
        "the generator has little new to say: raise generate.instruction.temperature, add domains or topics, use a "
        f"larger generator, or raise filter.near_duplicate_threshold ({config.near_duplicate_threshold:g})"
    )


ADVICE: Mapping[str, Callable[[Verdict, FilterConfig], str]] = {
    "empty": _empty,
    "length": _length,
    "tokens": _tokens,
    "truncated": _truncated,
    "word_repetition": _repetition("max_word_repeats"),
    "line_repetition": _repetition("max_line_repeats"),
    "phrase_repetition": _repetition("max_phrase_repeats"),
    "ngram_repetition": _repetition("max_repeated_share"),
    "refusal": _refusal,
    "language": _language,
    "contamination": _contamination,
    "tags": _tags,
    "reward": _reward,
    "near_duplicates": _near_duplicates,
}


def _below(failure: Verdict, shortest: int) -> bool:
    return isinstance(failure.value, (int, float)) and failure.value < shortest
