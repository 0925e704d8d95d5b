"""Pretraining of the reward model: what is replaced, what is told about it, and that it is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano import reward, reward_pretraining, world
from synthetic_instruction_tuner.nano import tokenizer as tok
from synthetic_instruction_tuner.nano.sampling import load_model
from synthetic_instruction_tuner.records import Message

FILE = str(nano.path("generator") / "tokenizer.json")


@pytest.fixture(scope="module")
def data() -> reward_pretraining.Exchanges:
    return reward_pretraining.make_exchanges(60, FILE, workers=1, seed=0, device="cpu")


@pytest.fixture(scope="module")
def writer():
    return load_model(nano.path("responder-llama"), "cpu")


def test_exchanges_are_right_answers_in_both_formats(data: reward_pretraining.Exchanges) -> None:
    tokenizer = Tokenizer.from_file(FILE)
    items = torch.arange(60)
    rows, answer = data.rows(data.questions, items, reward.LONGEST)
    seen, also = data.rows(data.prompts, items, reward.LONGEST + 16)
    checked = 0
    for row, mask, chat, chat_mask in zip(rows, answer, seen, also, strict=True):
        text = tokenizer.decode(row[mask][:-1].tolist())
        assert row[mask].tolist() == chat[chat_mask].tolist()
        assert row[mask][-1] == tok.END_ID == row[: mask.nonzero()[0]][-1] and row[0] == tok.BOS_ID
        whole = tokenizer.decode(chat[chat != tok.PAD_ID].tolist(), skip_special_tokens=False)
        assert whole.endswith(f"{tok.ASSISTANT}{text}{tok.END}")
        if whole.count(tok.USER) == 1 and tok.SYSTEM not in whole:
            prompt = whole.removeprefix(tok.BOS + tok.USER).partition(tok.END)[0]
            verdict = world.check([Message("user", prompt), Message("assistant", text)])
            checked += 1
            assert verdict is not None and verdict.right
    assert checked > 20
    assert set(data.widths) <= set(reward.WIDTHS)


def test_only_told_places_of_answers_are_replaced(data: reward_pretraining.Exchanges, writer) -> None:
    items = torch.arange(60)
    intact, answer = data.rows(data.questions, items, reward.LONGEST)
    generator = torch.Generator().manual_seed(0)
    for share, few in ((0.0, True), (0.2, False)):
        ids, replaced = reward_pretraining.spoiled(
            writer, data, items, reward.LONGEST, torch.full((60,), share), generator
        )
        assert torch.equal(ids != intact, replaced)
        assert not (replaced & ~answer).any()
        assert (ids[replaced] >= len(tok.SPECIALS)).all()
        counts = replaced.sum(1)
        assert (counts == 1).all() if few else counts.float().mean() > 4


def test_replaced_tokens_are_found_after_training(data: reward_pretraining.Exchanges, writer, capsys) -> None:
    small = data.widths <= 96
    some = reward_pretraining.Exchanges(data.prompts, data.questions, data.answers, np.where(small, 96, data.widths))
    model = reward.new_model(0, "cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reward_pretraining.pretrain(model, writer, some, tokens_per_step=2000, rate=1e-3, seed=0, minutes=0.2)
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert "of pairs right" in capsys.readouterr().out
