"""Finds the requests that no engine can serve, so that one of them does not take the others down."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.engines.base import Completion, Request


def request_fault(request: Request, vocabulary: int, *, longest: int | None = None, soft_prompt: bool = False) -> str:
    """Returns why this request cannot be served, or an empty text.

    On a GPU a token id outside the vocabulary would end the whole process, so it must never get there.

    Args:
        request: what is asked.
        vocabulary: rows of the model's embedding.
        longest: most tokens of prompt and answer together, where the engine has such a limit.
        soft_prompt: whether virtual tokens stand in front, which make an empty prompt possible.
    """
    prompt = request.prompt_ids
    if not prompt and not soft_prompt:
        return "the prompt is empty"
    if request.max_new_tokens < 1:
        return f"max_new_tokens is {request.max_new_tokens}"
    if prompt and not 0 <= min(prompt) <= max(prompt) < vocabulary:
        wrong = min(prompt) if min(prompt) < 0 else max(prompt)
        return f"token id {wrong} is not in the vocabulary of {vocabulary}"
    if longest is not None and len(prompt) >= longest:
        return f"the prompt has {len(prompt)} tokens, and prompt and answer together may have {longest}"
    return ""


def split_faults(
    requests: Sequence[Request], vocabulary: int, *, longest: int | None = None, soft_prompt: bool = False
) -> tuple[list[int], dict[int, Completion]]:
    """Returns the numbers of the requests that can be served, and the error completions of the others."""
    faults = {
        i: fault
        for i, request in enumerate(requests)
        if (fault := request_fault(request, vocabulary, longest=longest, soft_prompt=soft_prompt))
    }
    served = [i for i in range(len(requests)) if i not in faults]
    return served, {i: Completion((), "error", fault) for i, fault in faults.items()}
