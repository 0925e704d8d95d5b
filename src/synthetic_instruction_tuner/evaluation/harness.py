"""The bridge to EleutherAI's lm-evaluation-harness: our engines as its model, lists in memory as its tasks.

Prompts and scoring go through the harness, generation through our engines. That makes prompt-tuned models right in
batches: the harness' own Hugging Face model puts padding between soft prompt and text.

The harness takes seconds to import, so this module is imported where an evaluation starts, not where the command does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from synthetic_instruction_tuner.engines.base import Completion, Engine, Request
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

TOKENIZED = 512  # texts whose tokens are at hand
Document = dict[str, Any]
Score = Callable[[Document, list[str]], Mapping[str, Any]]


class EngineLM(LM):  # type: ignore[misc]  # the harness is not typed
    """One of our engines behind the harness' model interface.

    The harness carries prompts as text. A prompt that the chat template made keeps its token ids beside the text, so
    that it is never tokenized a second time; other text gets the BOS that the template's prompts start with, if any.

    Args:
        engine: runs the model.
        template: makes token ids of conversations.
        tokenizer: the model's Transformers tokenizer.
        max_new_tokens: longest answer where a task names no limit.

    Attributes:
        n_truncated: generated answers that hit the token limit, so far.
        n_empty: generated answers without any text, so far.
    """

    def __init__(self, engine: Engine, template: ChatTemplate, tokenizer: Any, max_new_tokens: int = 256) -> None:
        super().__init__()
        self.engine, self.template, self.tokenizer, self.max_new_tokens = engine, template, tokenizer, max_new_tokens
        self.n_truncated = self.n_empty = 0
        self._chats: dict[str, tuple[int, ...]] = {}
        self._tokens: dict[str, list[int]] = {}
        start = tuple(template.prompt_ids([Message("user", "x")]))[:1]
        self._lead = start if start == (tokenizer.bos_token_id,) else ()

    @property
    def tokenizer_name(self) -> str:
        """Names the prompt format for the harness' request cache."""
        return str(getattr(self.tokenizer, "name_or_path", "")).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Returns the template's source, which the harness keeps with its results."""
        return str(self.tokenizer.chat_template or "")

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """Returns the conversation as the text of its prompt ids.

        Raises:
            ValueError: an unfinished assistant turn is to be continued, which no task here does.
        """
        if not add_generation_prompt:
            raise ValueError("prefilled answers are not supported")
        ids = tuple(self.template.prompt_ids([Message(turn["role"], turn["content"]) for turn in chat_history]))  # type: ignore[arg-type]
        text = str(self.tokenizer.decode(ids, skip_special_tokens=False))
        self._chats[text] = ids
        return text

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Returns one answer per request, all decoded in one call of the engine.

        The tasks' generation settings may hold ``max_gen_toks``, ``temperature`` (0: greedy), ``top_p``, ``seed`` and
        ``until``, strings of which the first to occur cuts the answer.
        """
        texts = []
        asked = [self._request(*r.args) for r in requests]
        for request, sent, completion in zip(requests, asked, self.completions(asked), strict=True):
            text = self.template.decode(completion.token_ids, sent.prompt_ids)
            for stop in request.args[1].get("until") or ():
                text = text.split(stop)[0]
            self.n_truncated += completion.finish_reason == "length"
            self.n_empty += not text.strip()
            texts.append(text)
        return texts

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Returns the log-probability of each request's continuation, in nats, and whether it is greedy."""
        return self.engine.loglikelihood([self._pair(*r.args) for r in requests])

    def completions(self, asked: Sequence[Request]) -> list[Completion]:
        """Returns the engine's completions."""
        return self.engine.generate(asked)

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """Is for perplexity tasks, which are not supported."""
        raise NotImplementedError("perplexity tasks are not supported; use Hugging Face models in the harness for them")

    def _request(self, context: str, settings: Mapping[str, Any]) -> Request:
        return Request(
            prompt_ids=self._ids(context),
            seed=settings.get("seed", 0),
            max_new_tokens=settings.get("max_gen_toks", self.max_new_tokens),
            stop_ids=tuple(self.template.stop_ids),
            temperature=settings.get("temperature", 0.0),
            top_p=settings.get("top_p", 1.0),
        )

    def _ids(self, text: str) -> tuple[int, ...]:
        return self._chats.get(text) or (*self._lead, *self._plain(text))

    def _plain(self, text: str) -> list[int]:
        """Tokenizes; the options of a question ask for the question's own tokens again and again."""
        found = self._tokens.get(text)
        if found is None:
            if len(self._tokens) >= TOKENIZED:
                self._tokens.clear()
            found = self._tokens[text] = list(self.tokenizer.encode(text, add_special_tokens=False))
        return found

    def _pair(self, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        # Together, since many tokenizers make one token of the space at the seam and the word behind it.
        bare = context.rstrip() if context not in self._chats else context
        whole = self._plain(bare + context[len(bare) :] + continuation)
        return self._ids(bare), tuple(whole[len(self._plain(bare)) :])


class LocalTask(ConfigurableTask):  # type: ignore[misc]  # the harness is not typed
    """A 0-shot task over documents in memory: nothing is downloaded, and no dataset cache is written.

    A document has ``id`` and either ``messages`` (the conversation, as role-content dicts), for tasks under a chat
    template, or what `settings` name as ``doc_to_text``; a ``seed`` in it fixes its sampling.

    Args:
        name: the task's name.
        documents: at least one.
        metrics: names and aggregations of what is scored.
        settings: further settings of a task's configuration.
    """

    def __init__(self, name: str, documents: Sequence[Document], metrics: Mapping[str, Any], **settings: Any) -> None:
        self._documents = _Documents(documents)
        scored = [{"metric": m, "aggregation": a, "higher_is_better": True} for m, a in metrics.items()]
        fixed = {"task": name, "test_split": "test", "num_fewshot": 0, "metric_list": scored}
        super().__init__(config={"doc_to_text": "id", "doc_to_target": "id"} | settings | fixed)

    def download(self, *_: Any, **__: Any) -> None:
        """Hands the documents over; called by the base class."""
        self.dataset = {"test": self._documents}

    def build_all_requests(
        self, *, chat_template: Callable[..., str] | None = None, apply_chat_template: bool = False, **selection: Any
    ) -> None:
        """Makes all requests, with each document's own seed."""
        chosen = {k: v for k, v in selection.items() if k in ("limit", "samples", "rank", "world_size")}
        self._instances = []
        for number, document in self.doc_iterator(**chosen):
            text = chat_template(document["messages"]) if chat_template else self.doc_to_text(document)
            made = self.construct_requests(
                document, text, metadata=(self.task_name, number, 1), apply_chat_template=apply_chat_template
            )
            for request in made if isinstance(made, list) else [made]:
                if request.request_type == "generate_until":
                    request.args[1]["seed"] = document.get("seed", 0)
                self._instances.append(request)


class _Documents(list[Document]):
    """A list with the one attribute of a dataset that the harness reads."""

    @property
    def features(self) -> Document:
        return self[0]


def generation_task(
    name: str, documents: Sequence[Document], metrics: Mapping[str, Any], score: Score, **generation: Any
) -> LocalTask:
    """Returns a task whose answers are generated.

    Args:
        name: the task's name.
        documents: with ``id`` and ``messages``.
        metrics: names and aggregations of what `score` returns.
        score: takes a document and a list with its answer, returns values by metric.
        generation: ``temperature`` and ``max_gen_toks``.
    """
    sampling = {"until": [], "do_sample": generation.get("temperature", 0.0) > 0} | generation
    settings = {"output_type": "generate_until", "process_results": score, "generation_kwargs": sampling}
    return LocalTask(name, documents, metrics, **settings)


def run(lm: EngineLM, task: LocalTask, chat: bool) -> list[dict[str, Any]]:
    """Returns the harness' log of each document, in order: its answers (``filtered_resps``) and its value by metric.

    Args:
        lm: the model.
        task: what it does.
        chat: whether prompts go through the chat template.
    """
    # No bootstrap: standard errors are computed from the per-document values, with clusters and pairing.
    results = lm_eval.evaluate(lm=lm, task_dict={task.task_name: task}, bootstrap_iters=0, apply_chat_template=chat)
    samples: list[dict[str, Any]] = results["samples"][task.task_name]
    return sorted(samples, key=lambda sample: sample["doc_id"])
