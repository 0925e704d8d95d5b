"""Runs a model with vLLM, whose engine has a process of its own. vLLM is imported only when a model is opened.

Written against vLLM 0.25. Token ids go in and come out; vLLM loads no tokenizer and decodes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import EngineConfig
from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request, split_faults
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.file_checks.weight_files import uses_safetensors

_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # the ranks that vLLM reserves room for


def prepare_environment() -> None:
    """Sets the environment variables that vLLM reads on import; keeps those that the user has set."""
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    # A forked engine process would inherit the locks of threads that it does not have, and an initialized GPU.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")


def llm_arguments(path: str, config: EngineConfig, dtype: str, lora_rank: int | None = None) -> dict[str, Any]:
    """Returns the arguments of `vllm.LLM`, except for those about the model's repository."""
    room = {} if lora_rank is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": lora_room(lora_rank)}
    return {
        "model": path, "skip_tokenizer_init": True, "load_format": _load_format(path), "config_format": "hf",
        "generation_config": "vllm",  # ignores the model's own sampling settings
        "dtype": dtype, "seed": 0, "gpu_memory_utilization": config.gpu_memory_utilization,
        "max_model_len": config.max_model_len or -1,  # -1: as long as the memory allows
        **room,
    }  # fmt: skip


def _load_format(path: str) -> str:
    """Returns safetensors where a folder has them; vLLM reads PyTorch's own files with ``weights_only``, too."""
    return "safetensors" if uses_safetensors(Path(path)) else "auto"


def lora_room(rank: int) -> int:
    """Returns the smallest rank that vLLM can reserve memory for and that holds an adapter of this rank."""
    return next((room for room in _LORA_RANKS if room >= rank), _LORA_RANKS[-1])


class VllmEngine:
    """Runs one model; see `engines.base.Engine`.

    Args:
        llm: a `vllm.LLM` with `skip_tokenizer_init`.
        lora: a `vllm.lora.request.LoRARequest` that every request uses, or None.
    """

    def __init__(self, llm: Any, *, lora: Any = None) -> None:
        self._llm, self._lora = llm, lora

    @property
    def capabilities(self) -> Capabilities:
        """Each request has its own seed; half precision rounds differently for other batch sizes."""
        return Capabilities(seeded=True, batch_free=False, exact_stops=True, scores=True)

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns one completion per request, in order.

        Raises:
            RunError: vLLM's engine process has ended.
        """
        config = self._llm.model_config
        order, results = split_faults(requests, config.get_vocab_size(), longest=config.max_model_len)
        if results and done is not None:
            done(len(results))
        asked: list[tuple[int, Any]] = []
        for i in order:
            try:
                asked.append((i, _sampling(requests[i])))
            except ValueError as error:  # such as a temperature above vLLM's maximum
                results[i] = _rejected(error, done)
        prompts = [{"prompt_token_ids": list(requests[i].prompt_ids)} for i, _ in asked]
        outputs = self._run(prompts, [sampling for _, sampling in asked], done) if asked else []
        for (i, _), output in zip(asked, outputs, strict=True):
            results[i] = output if isinstance(output, Completion) else _completion(output, requests[i])
        return [results[i] for i in range(len(requests))]

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Returns for each (context, continuation) the sum of log-probabilities, in nats, and whether it is greedy.

        Raises:
            RunError: a text does not fit into vLLM's context, or its engine process has ended.
        """
        from vllm import SamplingParams

        if any(not context for context, _ in pairs):
            raise ValueError("a context is empty: begin it with the BOS token")
        asked = [i for i, (_, continuation) in enumerate(pairs) if continuation]
        texts = [[*pairs[i][0], *pairs[i][1]] for i in asked]
        longest = int(self._llm.model_config.max_model_len)
        if too_long := [len(text) for text in texts if len(text) >= longest]:
            raise RunError(
                f"A text of {max(too_long)} tokens cannot be scored.",
                f"vLLM's context here has {longest} tokens",
                "Raise engine.max_model_len, or set engine.kind=transformers.",
            )
        # 0 alternatives: only the text's own tokens, whose rank says whether they are the likeliest.
        scoring = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False, ignore_eos=True)
        outputs = self._run([{"prompt_token_ids": t} for t in texts], [scoring] * len(texts), None) if texts else []
        sums = [(0.0, True)] * len(pairs)
        for i, text, output in zip(asked, texts, outputs, strict=True):
            if isinstance(output, Completion):
                raise RunError("vLLM did not score a text.", output.error)
            start = len(pairs[i][0])
            steps = [output.prompt_logprobs[k][text[k]] for k in range(start, len(text))]
            sums[i] = (float(sum(s.logprob for s in steps)), all(s.rank == 1 for s in steps))
        return sums

    def close(self) -> None:
        """Ends vLLM's engine process."""
        llm, self._llm, self._lora = self._llm, None, None
        if llm is not None:
            llm.llm_engine.engine_core.shutdown()

    def _run(self, prompts: list[Any], sampling: list[Any], done: Done | None) -> list[Any]:
        """Returns vLLM's outputs, with an error completion in place of each prompt that it rejects."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            bar = False if done is None else _progress(done)
            return list(self._llm.generate(prompts, sampling, use_tqdm=bar, lora_request=self._lora))
        except EngineDeadError as error:
            raise RunError(
                "vLLM's engine process has ended.", str(error), "Run the same command again: it continues where it was."
            ) from error
        except ValueError as error:  # one bad request withdraws all that were added with it
            if len(prompts) == 1:
                return [_rejected(error, done)]
            half = len(prompts) // 2
            return [
                *self._run(prompts[:half], sampling[:half], done),
                *self._run(prompts[half:], sampling[half:], done),
            ]


def _sampling(request: Request) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        n=1,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=0,
        seed=request.seed,
        max_tokens=request.max_new_tokens,
        stop_token_ids=list(request.stop_ids),
        ignore_eos=True,  # the request's own stop ids decide, nothing else
        detokenize=False,
    )


def _rejected(error: ValueError, done: Done | None) -> Completion:
    if done is not None:
        done(1)
    return Completion((), "error", " ".join(str(error).split())[:300])


def _completion(output: Any, request: Request) -> Completion:
    written = output.outputs[0]
    ids, reason = tuple(written.token_ids), written.finish_reason
    if reason == "stop":
        return Completion(ids[:-1] if ids and ids[-1] in request.stop_ids else ids, "stop")
    if reason == "length":
        return Completion(ids, "length")
    return Completion((), "error", f"vLLM ended it for the reason {reason!r}")


def _progress(done: Done) -> Any:
    """Returns what vLLM takes for a progress bar, which reports finished requests to `done`."""
    from tqdm import tqdm

    class Finished(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts = "Processed" in str(kwargs.get("desc"))  # another bar shows the preparation of prompts
            super().__init__(*args, **{**kwargs, "file": _Nowhere(), "leave": False})

        def update(self, n: int = 1) -> Any:
            if self._counts:
                done(n)
            return super().update(n)

    return Finished


class _Nowhere:
    """A file that discards everything."""

    def write(self, _: str) -> int:
        return 0

    def flush(self) -> None:
        return None
