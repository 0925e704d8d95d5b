"""Pretraining of the reward model: what is replaced, what is told about it, and that it is learned."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.reward import pretraining as reward_pretraining
from synthetic_instruction_tuner.nano.training.reward import ranking
from synthetic_instruction_tuner.nano.training.reward.exchanges import Exchanges, make_exchanges
from synthetic_instruction_tuner.nano.training.sampling import load_model
from synthetic_instruction_tuner.nano.world import checking
from synthetic_instruction_tuner.records import Message

FILE = str(nano.path("generator") / "tokenizer.json")


@pytest.fixture(scope="module")
def data() -> Exchanges:
    return make_exchanges(60, FILE, workers=1, seed=0, device="cpu")


@pytest.fixture(scope="module")
def writer():
    return load_model(nano.path("responder-llama"), "cpu")


def test_exchanges_are_right_answers_in_both_formats(data: Exchanges) -> None:
    tokenizer = Tokenizer.from_file(FILE)
    items = torch.arange(60)
    rows, answer = data.rows(data.questions, items, ranking.LONGEST)
    seen, also = data.rows(data.prompts, items, ranking.LONGEST + 16)
    checked = 0
    for row, mask, chat, chat_mask in zip(rows, answer, seen, also, strict=True):
        text = tokenizer.decode(row[mask][:-1].tolist())
        assert row[mask].tolist() == chat[chat_mask].tolist()
        assert row[mask][-1] == tok.END_ID == row[: mask.nonzero()[0]][-1] and row[0] == tok.BOS_ID
        whole = tokenizer.decode(chat[chat != tok.PAD_ID].tolist(), skip_special_tokens=False)
        assert whole.endswith(f"{tok.ASSISTANT}{text}{tok.END}")
        if whole.count(tok.USER) == 1 and tok.SYSTEM not in whole:
            prompt = whole.removeprefix(tok.BOS + tok.USER).partition(tok.END)[0]
            verdict = checking.check([Message("user", prompt), Message("assistant", text)])
            checked += 1
            assert verdict is not None and verdict.right
    assert checked > 20
    assert set(data.widths) <= set(ranking.WIDTHS)


def test_only_told_places_of_answers_are_replaced(data: Exchanges, writer) -> None:
    items = torch.arange(60)
    intact, answer = data.rows(data.questions, items, ranking.LONGEST)
    generator = torch.Generator().manual_seed(0)
    for share, few in ((0.0, True), (0.2, False)):
        ids, replaced = reward_pretraining.spoiled(
            writer, data, items, ranking.LONGEST, torch.full((60,), share), generator
        )
        assert torch.equal(ids != intact, replaced)
        assert not (replaced & ~answer).any()
        assert (ids[replaced] >= len(tok.SPECIALS)).all()
        counts = replaced.sum(1)
        assert (counts == 1).all() if few else counts.float().mean() > 4


def test_a_block_holds_every_version_of_its_texts(data: Exchanges, writer) -> None:
    items = np.arange(12).reshape(3, 4)
    steps = reward_pretraining._block(writer, data, items, ranking.LONGEST, torch.Generator().manual_seed(0))
    assert len(steps) == 3
    for row, step in zip(items, steps, strict=True):
        intact, answer = data.rows(data.questions, torch.from_numpy(row), ranking.LONGEST)
        versions = step.ids.view(reward_pretraining.SCORED + reward_pretraining.MASKED, 4, -1)
        replaced = step.replaced.view(reward_pretraining.SCORED, 4, -1)
        assert torch.equal(versions[0], intact) and not replaced[0].any()
        for number in range(reward_pretraining.SCORED):
            assert torch.equal(versions[number] != intact, replaced[number])
            assert torch.equal(step.answer.view(reward_pretraining.SCORED, 4, -1)[number], answer)
        hidden = step.target.view(reward_pretraining.MASKED, 4, -1)
        for number, version in enumerate(versions[reward_pretraining.SCORED :]):
            mask = version == reward_pretraining.MASK_ID
            assert mask.any() and not (mask & ~answer).any()
            assert torch.equal(torch.where(mask, hidden[number], version), intact)  # the target is what was masked
            assert (hidden[number][~mask] == reward_pretraining.IGNORED).all()


def test_blocks_hold_each_exchange_once_a_pass() -> None:
    widths = np.random.default_rng(1).choice(ranking.WIDTHS, 3000)
    blocks = reward_pretraining.plan_blocks(widths, 20_000, np.random.default_rng(0))
    seen = np.concatenate([items.reshape(-1) for _, items in blocks])
    assert set(seen) == set(range(3000)) and len(seen) < 3100  # the last step of a width is filled up
    assert all((widths[items] == width).all() and len(items) <= reward_pretraining.TOGETHER for width, items in blocks)


def test_pretraining_lowers_its_loss_and_reports(data: Exchanges, writer, capsys, monkeypatch) -> None:
    monkeypatch.setattr(reward_pretraining, "PASSES", 1)
    small = data.widths <= 96
    some = Exchanges(data.prompts, data.questions, data.answers, np.where(small, 96, data.widths))
    model = ranking.new_model(0, "cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reward_pretraining.pretrain(model, writer, some, tokens_per_step=2000, rate=0.02, seed=0, minutes=3)
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    spelled = [float(n) for n in re.findall(r"([0-9.]+) per masked token", capsys.readouterr().out)]
    assert len(spelled) >= 5 and spelled[-1] < spelled[0] < math.log(tok.VOCABULARY) + 0.5


def test_tokens_are_read_one_layer_below_the_score(data: Exchanges, writer) -> None:
    model = ranking.new_model(0, "cpu")
    heads = reward_pretraining.Heads(model)
    width, items = int(data.widths[0]), np.flatnonzero(data.widths == data.widths[0])[None, :3]
    step = reward_pretraining._block(writer, data, items, width, torch.Generator().manual_seed(0))[0]
    size = (*step.ids.shape, model.config.hidden_size)
    first, second, third = (torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in range(3))

    def report(*states: torch.Tensor) -> list[float]:
        return reward_pretraining._loss(model, heads, lambda ids: list(states), *step)[1].tolist()

    token, pair, _, masked = report(first, second)
    assert report(third, second)[1] == pair and report(third, second)[0] != token and report(third, second)[3] != masked
    assert report(first, third)[1] != pair and report(first, third)[0] == token and report(first, third)[3] == masked
