"""Reads the parts of a server's answer strictly: each is what the protocol says, or `Failed` names it.

Nothing is converted: a number that is written as a text, or a fraction where a whole number belongs, says that the
server is not what it seems, and the same holds for parts that are not needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.server.client import Failed, Rejected

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_LONGEST = 40  # characters shown of a value
_LOWEST, _ROUNDING = 1e9, 1e-3  # of log-probabilities; NaN is between no limits


def object_of(answer: Any) -> dict[str, Any]:
    """Returns an answer that is a JSON object."""
    if not isinstance(answer, dict):
        raise Failed(f"the answer is {_kind(answer)}, not an object")
    return answer


def first_choice(answer: Any) -> dict[str, Any]:
    """Returns the choice of an OpenAI answer; one was asked for."""
    choices = object_of(answer).get("choices")
    if not isinstance(choices, list) or not choices:
        raise Failed("the answer has no choices")
    if len(choices) > 1:
        raise Failed(f"the answer has {len(choices)} choices where one was asked for")
    choice = choices[0]
    if not isinstance(choice, dict):
        raise Failed(f"the answer's choice is {_kind(choice)}, not an object")
    index = choice.get("index")
    if index is not None and (type(index) is not int or index != 0):
        raise Failed(f"the answer's choice has the index {_short(index)} where 0 belongs")
    return choice


def token_ids(found: Any, name: str) -> list[int]:
    """Returns the token ids of an answer; `name` is the field's, for messages."""
    if not isinstance(found, list):
        raise Failed(f"the answer's {name} is {_kind(found)}, not a list of token ids")
    for token in found:
        if type(token) is not int or not 0 <= token < 2**31:
            raise Failed(f"the answer's {name} holds {_short(token)}, which is no token id")
    return found


def text_of(found: Any) -> str:
    """Returns the text of an answer, without halves of surrogate pairs, which cannot be encoded."""
    if not isinstance(found, str):
        raise Failed("the answer has no text" if found is None else f"the answer's text is {_kind(found)}")
    return found.encode("utf-8", "replace").decode("utf-8")


def text_ids(tokenizer: Any, text: Any) -> list[int]:
    """Returns the ids of an answer that is text."""
    return list(tokenizer.encode(text_of(text), add_special_tokens=False))


def count_of(found: Any, name: str) -> int | None:
    """Returns a number of tokens, None where the answer has none; `name` is the field's, for messages."""
    if found is None:
        return None
    if type(found) is not int or found < 0:
        raise Failed(f"the answer's {name} is {_short(found)}, not a number of tokens")
    return found


def prompt_tokens(answer: dict[str, Any]) -> int | None:
    """Returns how many prompt tokens an OpenAI server says that it read, None if it does not say."""
    usage = answer.get("usage")
    if usage is None:
        return None
    if not isinstance(usage, dict):
        raise Failed(f"the answer's usage is {_kind(usage)}, not an object")
    for name in ("completion_tokens", "total_tokens"):
        count_of(usage.get(name), name)
    return count_of(usage.get("prompt_tokens"), "prompt_tokens")


def compare_prompt_tokens(read: int | None, sent: int, *, required: bool = False) -> None:
    """Rejects an answer whose prompt had a different number of tokens on the server: it read a different text.

    Args:
        read: the number that the server reports, or None.
        sent: how many tokens the prompt has.
        required: whether the server must report it.
    """
    if read is not None and read != sent:
        raise Rejected(f"the server read {read} tokens where {sent} were sent")
    if required and read is None:
        raise Rejected("the server does not say how many tokens of a text it reads, so a second BOS would go unnoticed")


def reason_of(found: Any) -> str | None:
    """Returns why an answer ended, None where it does not say."""
    if found is not None and not isinstance(found, str):
        raise Failed(f"the answer's reason to end is {_kind(found)}")
    return found


def completion(request: Request, ids: Sequence[int], reason: Any) -> Completion:
    """Returns the answer's tokens before the first stop id, and no more than the request's limit."""
    reason = reason_of(reason)
    stop = next((k for k, token in enumerate(ids) if token in request.stop_ids), None)
    if stop is not None and stop < request.max_new_tokens:
        return Completion(tuple(ids[:stop]), "stop")
    if len(ids) > request.max_new_tokens:  # a text may have more tokens when it is tokenized again
        return Completion(tuple(ids[: request.max_new_tokens]), "length")
    if reason not in ("stop", "length"):
        raise Failed("it does not say why it ended" if reason is None else f"it ended for the reason {_short(reason)}")
    return Completion(tuple(ids), "stop" if reason == "stop" else "length")


def prompt_scores(found: Any, ids: Sequence[int], start: int) -> tuple[float, bool]:
    """Returns the sum of log-probabilities of a prompt's tokens, in nats, and whether each of them is the likeliest.

    Args:
        found: the answer's ``prompt_logprobs``: for each token an object from token ids to their scores.
        ids: the prompt.
        start: the first token that counts.
    """
    if not isinstance(found, list) or len(found) != len(ids):
        raise Rejected("the server gives no log-probabilities of a prompt")
    steps = [_score(step, token) for token, step in list(zip(ids, found, strict=True))[start:]]
    return sum(value for value, _ in steps), all(rank == 1 for _, rank in steps)


def _score(step: Any, token: int) -> tuple[float, int]:
    """Returns a token's log-probability and rank."""
    score = step.get(str(token)) if isinstance(step, dict) else None
    if isinstance(score, dict):
        value: Any = score.get("logprob")
        rank = score.get("rank")
        number = isinstance(value, (int, float)) and type(value) is not bool
        if number and -_LOWEST < value < _ROUNDING and type(rank) is int and rank >= 1:
            return float(value), rank
    raise Failed(f"the answer's prompt_logprobs has {_short(step)} where the score of token {token} belongs")


def model_names(listed: Any) -> list[str]:
    """Returns the names in a server's list of models; those that are no texts are left out."""
    entries = listed.get("data") if isinstance(listed, dict) else None
    found = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [name for name in found if isinstance(name, str) and name]


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _short(value: Any) -> str:
    """Returns the beginning of a value as JSON."""
    if isinstance(value, (dict, list)) or (isinstance(value, int) and abs(value) > 10**_LONGEST):
        return _kind(value)
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
