"""The generator answers instructions that it has not written: those of the user's own files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.data_generation.magpie_generator import failure
from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate


class PromptAnswers:
    """Answers records' instructions, after their system prompt and their earlier turns.

    Args:
        config: how responses are sampled, and whether the model thinks.
        template: the generator's chat template.
        engine: runs the generator.
        seed: the run's seed; an answer depends only on it, the record and the model.
        model_name, revision, engine_facts: for the provenance; see `MagpieGenerator`.

    Raises:
        UserError: thinking is on, and the model does not think.
    """

    def __init__(
        self,
        config: GenerateConfig,
        template: ChatTemplate,
        engine: Engine,
        *,
        seed: int,
        model_name: str = "",
        revision: str | None = None,
        engine_facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.template, self.engine, self.seed = config, template, engine, seed
        self._stops = template.thinking_stop_ids() if config.thinking else template.stop_ids
        self._facts: dict[str, Any] = {
            "model": model_name,
            "revision": revision,
            **(engine_facts or {}),
            "template": template.fingerprint,
            "seed": seed,
            "response_sampling": config.response.model_dump(mode="json"),
        }

    def answer(self, records: Sequence[Record], done: Done | None = None) -> list[Record]:
        """Returns the records with their responses; empty and cut-off ones are kept as they are."""
        requests, refused = dict[int, Request](), dict[int, Record]()
        for place, record in enumerate(records):
            try:
                requests[place] = self._request(record)
            except UserError as error:  # the template has no place for the system prompt, or for these turns
                refused[place] = self._refused(record, error)
        if done is not None and refused:
            done(len(refused))
        completions = self.engine.generate(list(requests.values()), done) if requests else []
        found = {
            place: self._answered(records[place], request.prompt_ids, completion)
            for (place, request), completion in zip(requests.items(), completions, strict=True)
        } | refused
        return [found[place] for place in range(len(records))]

    def _request(self, record: Record) -> Request:
        sampling = self.config.response
        return Request(
            prompt_ids=tuple(self.template.prompt_ids(record.prompt_messages(), self.config.thinking)),
            seed=answer_seed(self.seed, record.id),
            max_new_tokens=sampling.max_new_tokens,
            stop_ids=tuple(self._stops),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )

    def _refused(self, record: Record, error: UserError) -> Record:
        facts = {"response_finish": "error", "response_error": f"{error.problem} {error.cause}".strip()}
        return replace(record, response="", thinking=None, provenance=record.provenance | self._facts | facts)

    def _answered(self, record: Record, prompt: Sequence[int], completion: Completion) -> Record:
        opened = self.template.opens(prompt, self.config.thinking)
        thoughts, answer = self.template.split_answer(completion.token_ids, opened)
        provenance = record.provenance | self._facts | {"response_finish": completion.finish_reason}
        kept = thoughts if self.config.thinking and thoughts else None
        return replace(record, response=answer, thinking=kept, provenance=provenance | failure("response", completion))


def answer_seed(seed: int, record_id: str) -> int:
    """Returns the seed of the answer to a record, from 0 to 2**63 - 1."""
    digest = hashlib.blake2b(f"answer\0{seed}\0{record_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
