"""Magpie: an aligned chat model, shown only the start of a user's turn, writes an instruction; then it answers it.

Source: Xu et al., "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing", 2024. Further
turns are made the same way, after the conversation so far. A model may forget there that it is the user's turn (section
2.2); such a turn is asked for once more, and if it is no better the conversation ends before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import GenerateConfig, ModelConfig, SamplingChange, SamplingConfig
from synthetic_instruction_tuner.data_generation.faults import faults
from synthetic_instruction_tuner.data_generation.plan import Place, Plan, derived_seed, system_prompt
from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request
from synthetic_instruction_tuner.models.files import identity, local_folder
from synthetic_instruction_tuner.records import Message, Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

Examine = Callable[[Sequence[Record]], None]
"""Called with the records of a batch when they have instructions and no responses yet; may raise."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """An unfinished conversation: its record, and the system prompt that steers it."""

    number: int
    record: Record
    steering: str | None


class MagpieGenerator:
    """Writes instruction-response records. Record number n depends on the seed, n, its place and the model alone.

    Args:
        config: how many, how sampled, which domains, languages, topics and turns.
        template: the generator's chat template.
        engine: runs the generator.
        seed: the run's seed.
        model_name: goes into the records' provenance.
        revision: what tells the model's weights from others of that name; for the provenance too.
        engine_facts: what the provenance says about the engine; see `provenance`.

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
        self.config, self.template, self.engine = config, template, engine
        self.seed, self.model_name, self.revision = seed, model_name, revision
        self._engine_facts = dict(engine_facts or {})
        self._stops = template.thinking_stop_ids() if config.thinking else template.stop_ids
        self._plan = Plan(config, seed)

    def generate(
        self,
        numbers: Sequence[int],
        done: Done | None = None,
        *,
        places: Sequence[Place] | None = None,
        examine: Examine | None = None,
    ) -> list[Record]:
        """Returns the records with these numbers, in order.

        Empty and cut-off texts are kept as they are: dropping them is for the filter. The provenance has their finish
        reasons, and why the engine failed on a request. A record without an instruction gets no response.

        Args:
            numbers: which records.
            done: counts texts, two per record and turn.
            places: the records' domains and ranks in them, instead of those that the `Plan` gives them.
            examine: sees the first instructions before they are answered.
        """
        drafts = self._first_instructions(numbers, places, done)
        if examine is not None:
            examine([draft.record for draft in drafts])
        drafts = self._answered(drafts, 1, done)
        for turn in range(2, self.config.turns + 1):
            drafts = self._continued(drafts, turn, done)
        return [draft.record for draft in drafts]

    def ask(self, numbers: Sequence[int], done: Done | None = None) -> list[Record]:
        """Returns the records with these numbers without responses."""
        drafts = self._first_instructions(numbers, None, done)
        return [draft.record for draft in drafts]

    def _first_instructions(
        self, numbers: Sequence[int], places: Sequence[Place] | None, done: Done | None
    ) -> list[_Draft]:
        chosen = [self._plan.place(n) for n in numbers] if places is None else places
        drafts = [self._draft(n, place) for n, place in zip(numbers, chosen, strict=True)]
        requests = [
            self._request(
                self.template.pre_query_ids(draft.steering), self._sampling(draft, "instruction"), draft, "instruction"
            )
            for draft in drafts
        ]
        completions = self.engine.generate(requests, done) if requests else []
        return [
            self._with_instruction(draft, *self._read(completion), **failure("instruction", completion))
            for draft, completion in zip(drafts, completions, strict=True)
        ]

    def _draft(self, number: int, place: Place) -> _Draft:
        domain, topic = place.domain, self._plan.topic(number, place)
        settings = self.config.domains.get(domain) if domain else None
        language = (settings.language if settings else "") or self.config.language
        steering = system_prompt(settings.system if settings else None, topic, language)
        provenance: dict[str, Any] = {
            "model": self.model_name,
            "revision": self.revision,
            **self._engine_facts,
            "template": self.template.fingerprint,
            "instruction_finish": None,
            "response_finish": None,
            "seed": self.seed,
        }
        record = Record(f"raw-{number:06d}", "", system=steering, domain=domain, provenance=provenance)
        if steering and not self.config.keep_system:
            record = replace(record, system=None, provenance=provenance | {"steered_by": steering})
        draft = _Draft(number, record, steering)
        facts: dict[str, Any] = {
            f"{step}_sampling": self._sampling(draft, step).model_dump(mode="json")
            for step in ("instruction", "response")
        }
        facts |= {"topic": topic} if topic else {}
        facts |= {"language": language} if language else {}
        return replace(draft, record=replace(record, provenance=record.provenance | facts))

    def _continued(self, drafts: list[_Draft], turn: int, done: Done | None) -> list[_Draft]:
        """Adds a turn to the conversations that can go on; `done` counts the others' texts as well."""
        going = [draft for draft in drafts if _goes_on(draft.record, turn)]
        followed, ended = self._follow_ups(going, turn, done)
        if done is not None and len(followed) < len(drafts):
            done(2 * (len(drafts) - len(going)) + len(ended))
        changed = {d.number: d for d in [*ended, *(self._answered(followed, turn, done) if followed else [])]}
        return [changed.get(draft.number, draft) for draft in drafts]

    def _follow_ups(self, drafts: list[_Draft], turn: int, done: Done | None) -> tuple[list[_Draft], list[_Draft]]:
        """Returns the conversations with their next question, and those in which none came."""
        found: list[_Draft] = []
        failed: dict[int, dict[str, str]] = {}
        for attempt in range(2):
            asked = [
                self._request(
                    self.template.pre_query_ids(draft.steering, _so_far(draft.record)),
                    self._sampling(draft, "instruction"),
                    draft,
                    f"instruction:{turn}:{attempt}",
                )
                for draft in drafts
            ]
            completions = self.engine.generate(asked, done if attempt == 0 else None) if asked else []
            again: list[_Draft] = []
            for draft, completion in zip(drafts, completions, strict=True):
                text, finish = self._read(completion)
                failed[draft.number] = failure("follow_up", completion)
                earlier = [m.content for m in _so_far(draft.record)]
                if faults(text, finish == "length", earlier):
                    again.append(draft)
                else:
                    longer = replace(draft.record, history=_so_far(draft.record))
                    found.append(self._with_instruction(replace(draft, record=longer), text, finish, turns=turn))
            drafts = again
        return sorted(found, key=lambda draft: draft.number), [_noted(d, failed[d.number]) for d in drafts]

    def _answered(self, drafts: list[_Draft], turn: int, done: Done | None) -> list[_Draft]:
        wanted = [draft for draft in drafts if draft.record.instruction]
        step = "response" if turn == 1 else f"response:{turn}"
        requests = [
            self._request(
                self.template.prompt_ids(draft.record.prompt_messages(), self.config.thinking),
                self._sampling(draft, "response"),
                draft,
                step,
                self._stops,
            )
            for draft in wanted
        ]
        if done is not None and len(wanted) < len(drafts):
            done(len(drafts) - len(wanted))
        completions = self.engine.generate(requests, done) if requests else []
        records = {
            draft.number: self._with_response(draft, request.prompt_ids, completion)
            for draft, request, completion in zip(wanted, requests, completions, strict=True)
        }
        return [replace(d, record=records.get(d.number, d.record)) for d in drafts]

    def _with_response(self, draft: _Draft, prompt: Sequence[int], completion: Completion) -> Record:
        opened = self.template.opens(prompt, self.config.thinking)
        thoughts, answer = self.template.split_answer(completion.token_ids, opened)
        provenance = draft.record.provenance | {"response_finish": completion.finish_reason}
        provenance |= failure("response", completion)
        kept = thoughts if self.config.thinking and thoughts else None
        return replace(draft.record, response=answer, provenance=provenance, thinking=kept)

    @staticmethod
    def _with_instruction(draft: _Draft, text: str, finish: str, **facts: Any) -> _Draft:
        provenance = draft.record.provenance | {"instruction_finish": finish} | facts
        return replace(draft, record=replace(draft.record, instruction=text, response="", provenance=provenance))

    def _read(self, completion: Completion) -> tuple[str, str]:
        text, ended = self.template.decode_user(completion.token_ids)
        return text, "stop" if ended else str(completion.finish_reason)

    def _sampling(self, draft: _Draft, step: str) -> SamplingConfig:
        general: SamplingConfig = getattr(self.config, step)
        if draft.record.domain is None:
            return general
        change: SamplingChange = getattr(self.config.domains[draft.record.domain], step)
        return general.model_copy(update=change.model_dump(exclude_none=True))

    def _request(
        self,
        prompt: Sequence[int],
        sampling: SamplingConfig,
        draft: _Draft,
        step: str,
        stops: tuple[int, ...] | None = None,
    ) -> Request:
        return Request(
            prompt_ids=tuple(prompt),
            seed=derived_seed(self.seed, draft.number, step),
            max_new_tokens=sampling.max_new_tokens,
            stop_ids=self.template.stop_ids if stops is None else stops,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )


def _noted(draft: _Draft, facts: dict[str, str]) -> _Draft:
    return replace(draft, record=replace(draft.record, provenance=draft.record.provenance | facts))


def _so_far(record: Record) -> tuple[Message, ...]:
    return (*record.history, Message("user", record.instruction), Message("assistant", record.response))


def _goes_on(record: Record, turn: int) -> bool:
    """Whether a conversation has all its turns so far, and the last one is complete."""
    whole = record.provenance["instruction_finish"] == "stop" and record.provenance["response_finish"] == "stop"
    return bool(record.response) and whole and len(record.history) == 2 * (turn - 2)


def model_revision(model: ModelConfig) -> str | None:
    """Returns the Hub commit of a cached model, or a hash of a local one's files; None when it is not here."""
    if local_folder(model) is not None:
        content = identity(model)["content"]
        return f"files:{content}" if content else None
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    return Path(file).parent.name if isinstance(file, str) else model.revision


def engine_facts(kind: str, model: ModelConfig, quantized: str = "") -> dict[str, str]:
    """Returns which engine writes, and the model's name on its server, whose weights may differ from the local ones.

    Args:
        kind: the engine's.
        model: the model.
        quantized: how its weights are held here, such as ``nf4``; "" where they are not quantized.
    """
    named = {"served_as": model.served_as} if kind == "server" and model.served_as else {}
    return {"engine": kind} | named | ({"weights": quantized} if quantized else {})


def failure(step: str, completion: Completion) -> dict[str, str]:
    """Returns why the engine failed on a step's request; nothing where it did not fail."""
    failed = completion.finish_reason == "error"
    return {f"{step}_error": completion.error or "no reason is known"} if failed else {}


def failures(provenance: dict[str, Any]) -> list[str]:
    """Returns why the engine failed on requests of a record."""
    return [str(why) for name, why in provenance.items() if name.endswith("_error")]
