from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.training.examples import Example, PairExample
from synthetic_instruction_tuner.training.packed.packs import Pack, pack, packed_tokens, spread

tokens = st.integers(1, 9)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    prompt, answer = draw(st.lists(tokens, min_size=1, max_size=6)), draw(st.lists(tokens, min_size=1, max_size=6))
    return Example("a", (*prompt, *answer), (*[False] * len(prompt), *[True] * len(answer)))


@st.composite
def pairs(draw: st.DrawFn) -> PairExample:
    prompt = draw(st.lists(tokens, max_size=5))
    sides = []
    for _ in range(2):
        before, answer = draw(st.lists(tokens, max_size=2)), draw(st.lists(tokens, min_size=1, max_size=5))
        ids = (*prompt, *before, *answer)
        sides.append(Example("a", ids, (*[False] * (len(ids) - len(answer)), *[True] * len(answer))))
    return PairExample("a", *sides)


rows = st.lists(examples() | pairs(), min_size=1, max_size=6)


@settings(max_examples=40)
@given(rows=rows, virtual=st.integers(0, 3))
def test_each_text_sees_its_own_tokens_in_order_and_no_others(rows: list[Example | PairExample], virtual: int) -> None:
    found = pack(rows, virtual)
    texts = texts_of(rows)
    keys = found.stretches.key_rows if found.stretches.key_rows is not None else torch.arange(found.tokens)
    seen = list(keys.split(found.stretches.keys))
    assert found.count == len(texts) == len(seen)
    own = torch.arange(found.tokens).split(found.stretches.queries)
    for text, places, queries in zip(texts, seen, own, strict=True):
        assert found.ids[places[virtual:]].tolist() == list(text.ids)
        assert set(places[:virtual].tolist()) <= set(found.virtual.tolist())
        assert found.positions[places].tolist() == list(range(virtual + text.tokens))
        assert places[len(places) - len(queries) :].tolist() == queries.tolist()  # the last keys are the queries


@settings(max_examples=40)
@given(rows=rows, virtual=st.integers(0, 3))
def test_every_trained_token_is_scored_once_from_the_token_before_it(
    rows: list[Example | PairExample], virtual: int
) -> None:
    found = pack(rows, virtual)
    keys = found.stretches.key_rows if found.stretches.key_rows is not None else torch.arange(found.tokens)
    for number, (text, places) in enumerate(zip(texts_of(rows), keys.split(found.stretches.keys), strict=True)):
        scored = found.texts == number
        trained = [i for i, flag in enumerate(text.trained) if flag and (i or virtual)]
        assert found.targets[scored].tolist() == [text.ids[i] for i in trained]
        assert found.sources[scored].tolist() == [places[virtual + i - 1].item() for i in trained]


@settings(max_examples=40)
@given(rows=rows, virtual=st.integers(0, 3))
def test_the_size_of_a_pack_is_known_before_it_is_made(rows: list[Example | PairExample], virtual: int) -> None:
    found: Pack = pack(rows, virtual)
    assert found.tokens == sum(packed_tokens(row, virtual) for row in rows)
    assert found.tokens == sum(found.stretches.queries)
    assert found.stretches.query_ends.tolist()[-1] == found.tokens


@settings(max_examples=40)
@given(rows=st.lists(examples(), min_size=1, max_size=20), limit=st.integers(1, 60))
def test_rows_are_spread_over_few_packs_within_the_limit(rows: list[Example], limit: int) -> None:
    rows = [Example(str(i), row.ids, row.trained) for i, row in enumerate(rows)]
    packs = spread(rows, limit)
    assert sorted(row.id for part in packs for row in part) == sorted(row.id for row in rows)
    sizes = [sum(row.tokens for row in part) for part in packs]
    for size, part in zip(sizes, packs, strict=True):
        assert size <= limit or len(part) == 1
    assert len(packs) <= 2 * sum(sizes) / limit + 1


def test_the_prompt_of_a_pair_is_read_once() -> None:
    prompt = ((1, 2, 3), (False, False, False))
    sides = [Example("a", (*prompt[0], *answer), (*prompt[1], *[True] * len(answer))) for answer in ((4, 5), (4, 6, 7))]
    found = pack([PairExample("a", *sides)])
    assert found.ids.tolist() == [1, 2, 3, 4, 5, 4, 6, 7]
    assert found.positions.tolist() == [0, 1, 2, 3, 4, 3, 4, 5]


def texts_of(rows: list[Example | PairExample]) -> list[Example]:
    return [text for row in rows for text in ((row,) if isinstance(row, Example) else (row.chosen, row.rejected))]
