"""Tokens of many texts that are alike, computed once: their common beginning, and the last line before a choice.

With five solved examples a question of MMLU has some 2,000 characters, and its four options would tokenize them five
times. On a fast GPU that takes longer than the model. A line's beginning is a *seam* in nearly all tokenizers: what
stands before it and behind it has the same tokens apart as together. Whether it is one here is tried on texts of each
call, and where it is not, whole texts are tokenized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Encode = Callable[[str], list[int]]
WORTH = 200  # characters of a common beginning from which it pays


def tokens_of_all(texts: Sequence[str], encode: Encode) -> list[list[int]]:
    """Returns the tokens of each text; a beginning that all of them have is tokenized once.

    Args:
        texts: tried out are the first and the last of them.
        encode: returns a text's tokens, without special ones around it.
    """
    cut = last_line(_common(texts)) if len(texts) > 2 else 0
    if cut < WORTH:
        return [encode(text) for text in texts]
    first = encode(texts[0][:cut])
    tried = {i: encode(texts[i]) for i in (0, len(texts) - 1)}
    found = [first + encode(text[cut:]) for text in texts]
    if any(found[i] != whole for i, whole in tried.items()):
        return [tried.get(i) or encode(text) for i, text in enumerate(texts)]
    return found


def tokens_behind(
    contexts: Sequence[str], ids: Sequence[Sequence[int]], continuations: Sequence[str], encode: Encode
) -> list[list[list[int]]]:
    """Returns for each context the tokens of every continuation behind it.

    They are tokenized together with the context, since many tokenizers make one token of a space and the word behind
    it; the context's last line is enough for that, where the context's tokens end with those of the line. The first
    context is tokenized whole as well.

    Args:
        contexts: texts that end alike; each may end with line breaks.
        ids: the tokens of each.
        continuations: what stands behind each of them.
        encode: returns a text's tokens, without special ones around it.
    """
    tails = [_tail(text, own, encode) for text, own in zip(contexts, ids, strict=True)]
    if tails and _behind(tails[0], continuations, encode) != _behind(contexts[0], continuations, encode):
        tails = list(contexts)
    return [_behind(tail, continuations, encode) for tail in tails]


def last_line(text: str) -> int:
    """Returns where the last line begins that is not empty."""
    return text.rstrip("\n").rfind("\n") + 1


def _tail(context: str, ids: Sequence[int], encode: Encode) -> str:
    """Returns the last line, or the whole context where that line is tokenized in another way on its own."""
    line = context[last_line(context) :]
    own = encode(line)
    return line if own and list(ids[-len(own) :]) == own else context


def _behind(context: str, continuations: Sequence[str], encode: Encode) -> list[list[int]]:
    known = len(encode(context))
    return [encode(context + continuation)[known:] for continuation in continuations]


def _common(texts: Sequence[str]) -> str:
    """Returns what all texts begin with: no more than the first and the last of them in the order of letters have."""
    low, high = min(texts), max(texts)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:same]
