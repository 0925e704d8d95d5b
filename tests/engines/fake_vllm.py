"""A vLLM of the chain model in plain Python: the part of vLLM 0.25 that the engine uses, with the same checks.

Put in `sys.modules` by `installed`. Written beside vLLM's own source: what `SamplingParams`, `LLM.generate` and
`LLM.__init__` refuse, when one bad prompt takes back the others, that a stop token is the last of the token ids, and
that a request ends where the context does.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from chain_model import next_tokens


class VLLMValidationError(ValueError):
    pass


class EngineDeadError(Exception):
    pass


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop_token_ids: list[int] = field(default_factory=list)
    ignore_eos: bool = False
    max_tokens: int = 16
    prompt_logprobs: int | None = None
    detokenize: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise VLLMValidationError(f"temperature must be in [0, 2], got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise VLLMValidationError(f"top_p must be in (0, 1], got {self.top_p}.")
        if self.max_tokens < 1:
            raise VLLMValidationError(f"max_tokens must be at least 1, got {self.max_tokens}.")
        if not isinstance(self.stop_token_ids, list) or not all(isinstance(t, int) for t in self.stop_token_ids):
            raise ValueError("stop_token_ids must contain only integers")


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


class LLM:
    """Takes exactly the arguments that vLLM's own takes and that are used; keeps them for the tests."""

    made: list[LLM] = []  # noqa: RUF012  # all that were made, for the tests
    tokenizer: Any = None
    vocabulary = 320
    fails: Exception | None = None

    def __init__(
        self, model: str, *, skip_tokenizer_init: bool = False, revision: str | None = None,
        trust_remote_code: bool = False, dtype: str = "auto", seed: int = 0, gpu_memory_utilization: float = 0.92,
        load_format: str = "auto", config_format: str = "auto", generation_config: str = "auto",
        max_model_len: int | None = None, enable_lora: bool = False, max_loras: int = 1, max_lora_rank: int = 16,
    ) -> None:  # fmt: skip
        if LLM.fails is not None:
            raise LLM.fails
        self.arguments = {k: v for k, v in locals().items() if k != "self"}
        longest = 2048 if max_model_len in (None, -1) else max_model_len
        self.model_config = SimpleNamespace(max_model_len=longest, get_vocab_size=lambda: LLM.vocabulary)
        self.closed = self.dead = False
        core = SimpleNamespace(shutdown=lambda: setattr(self, "closed", True))
        self.llm_engine = SimpleNamespace(engine_core=core)
        self.sure, self.drawn = next_tokens(self.tokenizer)
        self.loras: list[Any] = []
        self.calls: list[int] = []
        LLM.made.append(self)

    def generate(
        self, prompts: Sequence[dict[str, Any]], sampling_params: Sequence[SamplingParams], *,
        use_tqdm: bool | Callable[..., Any] = True, lora_request: Any = None,
    ) -> list[Any]:  # fmt: skip
        if self.closed or self.dead:
            raise EngineDeadError("EngineCore encountered an issue.")
        assert len(prompts) == len(sampling_params)
        self.loras.append(lora_request)
        self.calls.append(len(prompts))
        rendered = use_tqdm(prompts, desc="Rendering prompts") if callable(use_tqdm) else prompts
        for prompt in rendered:
            self._check(prompt["prompt_token_ids"])
        outputs = [self._one(p["prompt_token_ids"], s) for p, s in zip(prompts, sampling_params, strict=True)]
        if callable(use_tqdm):
            bar = use_tqdm(total=len(prompts), desc="Processed prompts", dynamic_ncols=True, postfix="est. speed")
            for _ in prompts:
                bar.postfix = f"{bar.format_dict['elapsed']:.2f}"
                bar.update(1)
            if bar.n == len(prompts):
                bar.refresh()
            bar.close()
        return outputs

    def _check(self, prompt: list[int]) -> None:
        if not prompt:
            raise ValueError("The decoder prompt cannot be empty")
        if len(prompt) >= self.model_config.max_model_len:
            raise ValueError(f"The decoder prompt (length {len(prompt)}) is longer than the maximum model length")
        if max(prompt) >= LLM.vocabulary:
            self.dead = True  # without a tokenizer nothing looks at the ids, and the GPU fails on them
            raise EngineDeadError("CUDA error: device-side assert triggered")
        if prompt[-2:] == [7, 7]:
            raise VLLMValidationError("this prompt is not liked")

    def _one(self, prompt: list[int], s: SamplingParams) -> Any:
        assert not s.detokenize and s.ignore_eos, "there is no tokenizer"
        rng, token, ids, reason = random.Random(s.seed), prompt[-1], [], "length"
        while len(ids) < min(s.max_tokens, self.model_config.max_model_len - len(prompt)):
            token = self._draw(token, rng, s)
            ids.append(token)
            if token in s.stop_token_ids:
                reason = "stop"
                break
        logprobs = None
        if s.prompt_logprobs is not None:
            logprobs = [None, *(self._score(a, b) for a, b in pairwise(prompt))]
        written = SimpleNamespace(token_ids=ids, finish_reason=reason)
        return SimpleNamespace(outputs=[written], prompt_logprobs=logprobs)

    def _draw(self, token: int, rng: random.Random, s: SamplingParams) -> int:
        if token not in self.drawn:
            return self.sure[token]
        logits = self.drawn[token]
        if s.temperature == 0:
            return max(logits, key=lambda t: logits[t])
        highest = max(logits.values())
        weights = {t: math.exp((v - highest) / s.temperature) for t, v in logits.items()}
        kept, mass, total = {}, 0.0, sum(weights.values())
        for t, weight in sorted(weights.items(), key=lambda item: -item[1]):
            if mass < s.top_p * total:
                kept[t] = weight
            mass += weight
        return rng.choices(list(kept), list(kept.values()))[0]

    def _score(self, token: int, successor: int) -> dict[int, Any]:
        logits = self.drawn.get(token, {self.sure[token]: 30.0})
        value = logits.get(successor, 0.0) - math.log(sum(math.exp(v) for v in logits.values()))
        rank = 1 + sum(v > logits.get(successor, 0.0) for v in logits.values())
        return {successor: SimpleNamespace(logprob=value, rank=rank)}


def installed(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> type[LLM]:
    """Lets `import vllm` find this one; returns its `LLM`."""
    LLM.made, LLM.tokenizer, LLM.fails = [], tokenizer, None
    parts: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.exceptions": {"EngineDeadError": EngineDeadError},
    }
    for name, contents in parts.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return LLM
