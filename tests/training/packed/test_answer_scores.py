from __future__ import annotations

import pytest
import torch

from synthetic_instruction_tuner.training.packed import answer_scores as module
from synthetic_instruction_tuner.training.packed.answer_scores import answer_scores


@pytest.mark.parametrize("at_once", [1, 64, 10_000])
def test_scores_and_slopes_are_those_of_all_logits_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    hidden, head, targets, weights = example(torch.float32)
    wanted = (hidden @ head.T).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    found = answer_scores(hidden, head, targets)
    assert torch.allclose(found, wanted, atol=1e-5)
    # a loss that is no plain sum, as DPO's
    slopes = [torch.autograd.grad(torch.sigmoid((s * weights).sum()), hidden)[0] for s in (found, wanted)]
    assert torch.allclose(*slopes, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_good_as_its_numbers(dtype: torch.dtype) -> None:
    hidden, head, targets, weights = example(dtype)
    exact = hidden.detach().float().requires_grad_()
    wanted = (exact @ head.float().T).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    found = answer_scores(hidden, head, targets)
    assert found.dtype == torch.float32 and torch.allclose(found, wanted, atol=0.05)
    slopes = [torch.autograd.grad((s * weights).sum(), h)[0].float() for s, h in ((found, hidden), (wanted, exact))]
    assert (slopes[0] - slopes[1]).norm() < 0.02 * slopes[1].norm()


def test_nothing_is_kept_where_no_slope_is_asked_for() -> None:
    hidden, head, targets, _ = example(torch.float32)
    with torch.no_grad():
        assert answer_scores(hidden, head, targets).grad_fn is None


def test_no_targets_make_no_scores() -> None:
    hidden, head, targets, _ = example(torch.float32)
    assert answer_scores(hidden[:0], head, targets[:0]).shape == (0,)


def example(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    hidden = torch.randn(9, 16).to(dtype).requires_grad_()
    return hidden, torch.randn(50, 16).to(dtype), torch.randint(50, (9,)), torch.randn(9)
