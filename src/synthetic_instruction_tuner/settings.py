"""Every setting of a run, one class per stage, every field documented.

These classes are what the library's own classes are constructed from; how files, profiles and command-line overrides
become one `Config` is in `config`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A part of the configuration: immutable, unknown keys refused. Pydantic's own messages show no values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


def _checked_url(value: str | None) -> str | None:
    """Refuses what is no server's address, and addresses with a password in them: settings are written to files."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must begin with http:// or https:// and a host, such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must not hold a password, a key or a query; keys go into engine.api_key_env's variable")
    return value


def _checked_variable(value: str) -> str:
    """Refuses what cannot be an environment variable's name: it may be the key itself, put in the wrong place."""
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("it must be the name of an environment variable, not the key itself, such as MY_SERVER_KEY")
    return value


class ModelConfig(Section):
    """One model: a local folder, a Hub id, or ``nano:NAME`` for an embedded model."""

    path: str = Field(description="Local folder, Hugging Face Hub id, or nano:NAME for a model inside the package.")
    name: str = Field("", description="Short name used in files and tables; the path's last part when empty.")
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit).")
    trust_remote_code: bool = Field(False, description="Run code that the model's repository brings along.")
    chat_template: str | None = Field(
        None,
        description="A .jinja file or a model whose chat template is used; for base models without one.",
    )
    parameters: float | None = Field(
        None, gt=0, description="Number of weights, for planning where the files are not at hand."
    )
    license: str | None = Field(
        None, description="License, as the Hub names it, for the data card; else what the model's own card says."
    )
    url: str | None = Field(
        None,
        description="Server that runs this model, such as http://127.0.0.1:8000/v1; path still names its tokenizer.",
    )
    served_as: str | None = Field(None, description="The model's name on its server, where it has another one there.")
    api_key_env: str = Field("", description="Environment variable that holds the key of this model's own server.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _named(self) -> ModelConfig:
        if not self.name:
            object.__setattr__(self, "name", self.path.rstrip("/").split("/")[-1].removeprefix("nano:"))
        if self.name in (".", "..") or set(self.name) & set("/\\:\0") or not self.name:
            raise ValueError(f"the name {self.name!r} cannot be a folder's name")
        return self

    _plain_url = field_validator("url")(_checked_url)
    _variable = field_validator("api_key_env")(_checked_variable)


class ModelsConfig(Section):
    """The models of a run."""

    generator: ModelConfig = Field(description="Aligned chat model that writes instructions and answers (Magpie).")
    responders: tuple[ModelConfig, ...] = Field(
        description="Models whose answers become preference pairs.", min_length=1
    )
    reward: ModelConfig = Field(description="Sequence-classification reward model that scores answers.")
    judge: ModelConfig | None = Field(
        None, description="Chat model that judges answers instead, with prefer.scorer=judge."
    )
    students: tuple[ModelConfig, ...] = Field(description="Base models to tune.", min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> ModelsConfig:
        for role in ("responders", "students"):
            names = [m.name for m in getattr(self, role)]
            if len(set(names)) < len(names):
                raise ValueError(f"{role} must have distinct names, got {', '.join(names)}")
        if any(m.url for m in (self.reward, *self.students)):
            raise ValueError("a student is trained here and the reward model runs here: they have no url")
        return self


class EngineConfig(Section):
    """What runs models for text."""

    kind: Literal["auto", "transformers", "vllm", "server"] = Field(
        "auto",
        description="What runs models; auto: a server where one is named, vLLM on a GPU where it is installed, "
        "transformers otherwise.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; auto takes a GPU if there is one."
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Weights' type; auto: bfloat16 from compute capability 8.0, float16 below, float32 on a CPU.",
    )
    batch_size: int = Field(64, ge=1, description="Sequences decoded at once.")
    threads: int | None = Field(None, ge=1, description="CPU threads; all cores when not set.")
    max_length: int | None = Field(
        None, ge=16, description="vLLM: longest prompt and answer together, in tokens; what fits when not set."
    )
    gpu_share: float = Field(0.9, gt=0, le=1, description="vLLM: share of the GPU's memory that it takes.")
    url: str | None = Field(
        None, description="OpenAI-compatible server for the generator and the responders, http://127.0.0.1:8000/v1."
    )
    api_key_env: str = Field(
        "", description="Environment variable that holds the key of engine.url; the key itself is stored nowhere."
    )
    concurrency: int = Field(32, ge=1, le=1024, description="Requests in flight at a server.")
    timeout: float = Field(600.0, gt=0, description="Seconds to wait for a server's answer to one request.")
    retries: int = Field(
        4, ge=0, description="Further attempts at a request that a server fails on; then it is recorded and skipped."
    )
    outage: float = Field(
        900.0, ge=0, description="Seconds to wait for a server that has gone away before the run stops."
    )

    _plain_url = field_validator("url")(_checked_url)
    _variable = field_validator("api_key_env")(_checked_variable)

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that texts depend on; how a server is reached, and how fast, is none of them."""
        return self.model_dump(
            mode="json", exclude={"gpu_share", "url", "api_key_env", "concurrency", "timeout", "retries", "outage"}
        )


class SamplingConfig(Section):
    """How tokens are drawn."""

    temperature: float = Field(1.0, ge=0, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1 samples from the whole distribution.")
    max_new_tokens: int = Field(512, ge=1, description="Longest text, in tokens.")


class SamplingChange(Section):
    """What a domain samples differently; unset values are those of all domains."""

    temperature: float | None = Field(None, ge=0, description="0 is greedy.")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest text, in tokens.")


class DomainConfig(Section):
    """A domain: a system prompt that steers what the generator asks about."""

    system: str = Field(description="The system prompt; may be left out for a ready-made domain.")
    share: float = Field(1.0, gt=0, description="Relative share of the records.")
    language: str = Field("", description="Language of its records, as generate.language.")
    topics: tuple[str, ...] = Field((), description="Seed topics, instead of generate.topics.")
    instruction: SamplingChange = Field(SamplingChange(), description="Sampling of its instructions.")
    response: SamplingChange = Field(SamplingChange(), description="Sampling of its responses.")

    _topics_file = field_validator("topics", mode="before")(lambda value: _lines(value))
    _language_known = field_validator("language")(lambda value: _known_language(value))


class GenerateConfig(Section):
    """Magpie: a chat model writes instructions, then answers them."""

    count: int = Field(1500, ge=1, description="Pairs to write; with until_kept, the most that are written.")
    until_kept: int | None = Field(
        None, ge=1, description="Write until so many pass the filter, in the domains' shares, instead of all of count."
    )
    exhausted_below: float = Field(
        0.05, ge=0, lt=1, description="until_kept gives up where a smaller share of the latest records passes."
    )
    patience: int = Field(256, ge=1, description="How many latest records (of a domain) that share is taken over.")
    instruction: SamplingConfig = Field(SamplingConfig(), description="Sampling of instructions.")
    response: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of responses.")
    batch: int = Field(
        128, ge=1, description="Pairs committed to the store at once; at most one batch is lost on a crash."
    )
    turns: int = Field(1, ge=1, description="Questions with answers in a conversation; the last is the record's own.")
    language: str = Field("", description="Language to write in: ISO 639-1 code or English name; empty: any.")
    topics: tuple[str, ...] = Field((), description="Your seed topics, used in turn; a list, or a text file's name.")
    thinking: bool = Field(False, description="Let a thinking model think first; thoughts are stored apart.")
    keep_system: bool = Field(
        True, description="Answer under the steering system prompt and keep it in the record; else it only steers."
    )
    min_healthy: float = Field(
        0.5, ge=0, le=1, description="Stop at once when a smaller share of the first 16 instructions is usable."
    )
    domains: dict[str, DomainConfig] = Field(
        default_factory=dict,
        description="Domains by name, or a list of ready-made ones; none: the model's own mix, without system prompt.",
    )
    undirected_share: float = Field(
        1.0, ge=0, description="Share of records without a domain, relative to the domains' shares."
    )

    _topics_file = field_validator("topics", mode="before")(lambda value: _lines(value))
    _language_known = field_validator("language")(lambda value: _known_language(value))

    @field_validator("domains", mode="before")
    @classmethod
    def _named_domains(cls, value: object) -> object:
        from .data_generation.steering import ready_made

        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value)
        if not isinstance(value, dict):
            return value
        return {name: _with_ready_made(name, domain, ready_made()) for name, domain in value.items()}

    @model_validator(mode="after")
    def _reachable(self) -> GenerateConfig:
        if self.until_kept is not None and self.until_kept > self.count:
            raise ValueError(f"until_kept ({self.until_kept}) is larger than count ({self.count}), the most to write")
        return self


def _with_ready_made(name: object, domain: object, known: Mapping[str, dict[str, Any]]) -> object:
    if isinstance(domain, (int, float)) and not isinstance(domain, bool):
        domain = {"share": domain}
    if isinstance(domain, DomainConfig) or not isinstance(domain, (dict, type(None))):
        return domain
    if name in known:
        return known[str(name)] | (domain or {})
    if domain is None:
        raise ValueError(f"{name!r} is no ready-made domain ({', '.join(known)}) and has no system prompt")
    return domain


def _lines(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        text = Path(value).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ValueError(f"the file of topics {value!r} cannot be read ({error})") from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _known_language(value: str) -> str:
    if value:
        from .data_generation.languages import language_name

        language_name(value)
    return value


Benchmark = Literal["nano", "ifeval", "mmlu", "mt_bench", "agentbench"]


class ContaminationConfig(Section):
    """Which benchmarks' items no record may hold, and how closely it is looked."""

    benchmarks: tuple[Benchmark, ...] = Field(
        (),
        description="Benchmarks whose items no record may hold; nano: those of the embedded models. None: off, "
        "unless there are files.",
    )
    folder: str | None = Field(
        None,
        description="Folder with a subfolder per benchmark (ifeval, mmlu, mt_bench, agentbench); what is not there is "
        "looked for in the Hugging Face cache and on the Hub.",
    )
    files: tuple[str, ...] = Field((), description="Your own files of items: JSON, JSONL, CSV, Parquet or text.")
    match: Literal["exact", "overlap"] = Field(
        "overlap",
        description="exact: whole items, word for word; overlap: also 13 words in a row, half an item in 8-grams, and "
        "light edits.",
    )


class TagsConfig(Section):
    """Tags that a chat model gives to records, as columns and as a filter; off without a model."""

    model: ModelConfig | None = Field(None, description="The chat model that tags; off when not set.")
    min_quality: int = Field(1, ge=1, le=5, description="Lowest quality that stays, 1 (very poor) to 5 (excellent).")
    min_difficulty: int = Field(1, ge=1, le=5, description="Lowest difficulty that stays, 1 (very easy) to 5.")
    max_difficulty: int = Field(5, ge=1, le=5, description="Highest difficulty that stays.")
    categories: tuple[str, ...] = Field((), description="Categories that stay; all when empty.")
    max_new_tokens: int = Field(96, ge=16, description="Longest answer of the tagging model, in tokens.")
    batch: int = Field(128, ge=1, description="Records whose tags are committed to the store at once.")

    @model_validator(mode="after")
    def _ordered(self) -> TagsConfig:
        low, high = self.min_difficulty, self.max_difficulty
        if low > high:
            raise ValueError(f"min_difficulty ({low}) is larger than max_difficulty ({high})")
        return self


class FilterConfig(Section):
    """The plan's five quality rules, and those that real data needs beside them."""

    min_words: int = Field(20, ge=0, description="Shortest response, in words.")
    max_words: int = Field(500, ge=1, description="Longest response, in words.")
    max_word_repeats: int = Field(3, ge=1, description="A word may stand so many times in a row.")
    max_line_repeats: int = Field(3, ge=1, description="A line may stand so many times in a row.")
    max_phrase_repeats: int = Field(5, ge=1, description="A phrase of 2 to 40 words may stand so many times in a row.")
    max_repeated_share: float = Field(
        0.8, ge=0, le=1, description="Share of a response's words that may stand in 8-grams that it had before."
    )
    drop_truncated: bool = Field(
        True, description="Drop texts that hit their token limit or, where that is not known, stop in mid-sentence."
    )
    tokenizer: str = Field("", description="Model whose tokenizer counts tokens; none when empty.")
    min_tokens: int = Field(0, ge=0, description="Shortest response, in tokens; needs a tokenizer.")
    max_tokens: int | None = Field(None, ge=1, description="Longest response, in tokens; needs a tokenizer.")
    similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Instructions whose word-set Jaccard similarity to a kept one is at least this are dropped.",
    )
    neighbors: bool = Field(
        False,
        description="Whether the data gets each kept record's distance from the nearest other one (a column, no rule).",
    )
    refusal_rule: Literal["form", "keywords"] = Field(
        "form",
        description="form: drop what refuses, by place and form; keywords: drop what holds a phrase, wherever.",
    )
    refusals: tuple[str, ...] = Field(
        ("I'm an AI", "I cannot", "I don't have", "As an AI", "I'm not able"),
        description="Phrases that refuse; straight and curly apostrophes are the same. None: no refusal rule.",
    )
    language: str = Field("en", description="Wanted language, as an ISO 639-1 code; empty switches the rule off.")
    language_confidence: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Drop for its language only when the detector is at least this sure of another one.",
    )
    contamination: ContaminationConfig = Field(ContaminationConfig(), description="Benchmark items in the data.")
    tags: TagsConfig = Field(TagsConfig(), description="Difficulty, quality and category, from a chat model.")
    reward_floor: float | None = Field(
        None, description="Drop records that models.reward scores below this; off when not set."
    )
    keep: int | None = Field(1000, ge=1, description="Records handed on, in order; all that pass when null.")

    @model_validator(mode="after")
    def _ordered(self) -> FilterConfig:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is larger than max_words ({self.max_words})")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens ({self.min_tokens}) is larger than max_tokens ({self.max_tokens})")
        if not self.tokenizer and (self.min_tokens or self.max_tokens is not None):
            raise ValueError("min_tokens and max_tokens need a tokenizer")
        return self


class JudgeConfig(Section):
    """A chat model that compares or rates answers, in place of the reward model."""

    mode: Literal["pairwise", "pointwise"] = Field(
        "pairwise",
        description="pairwise: every two answers are compared, in both orders; pointwise: each is rated 1 to 10.",
    )
    criteria: str = Field(
        "helpfulness, correctness, depth, clarity, and whether it does what was asked",
        description="What the judge is told to look at.",
    )
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, max_new_tokens=512), description="Sampling of the judge's verdicts."
    )


class PreferConfig(Section):
    """Preference pairs: models answer again, answers are scored, the best stands against a worse one."""

    pairs: int = Field(600, ge=1, description="Pairs to build; with on_policy for each student.")
    sampling: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of the answers.")
    samples: int = Field(1, ge=1, description="Answers of each model to each instruction.")
    on_policy: Literal["off", "base", "sft"] = Field(
        "off",
        description="off: the responders answer; base, sft: each student answers for its own pairs, untuned or after "
        "SFT (this stage then comes after SFT).",
    )
    scorer: Literal["reward", "judge"] = Field("reward", description="Scores answers: models.reward or models.judge.")
    judge: JudgeConfig = Field(JudgeConfig(), description="How the judge works.")
    rejected: Literal["worst", "mean_minus_2sd"] = Field(
        "worst",
        description="The rejected answer: the worst one, or the one nearest to the mean score minus two standard "
        "deviations of all answers to the prompt.",
    )
    min_margin: float = Field(0.0, ge=0, description="Smallest score difference; pairs at or below it are refused.")
    max_similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Answers whose word-set Jaccard similarity is at least this are near-identical and make no pair.",
    )
    max_length_ratio: float | None = Field(
        None,
        ge=1,
        description="Length-matched pairs: the longer answer has at most so many times the words of the shorter.",
    )
    max_chosen_share: float | None = Field(
        None, gt=0, le=1, description="Largest share of the chosen answers that one model may have; null: no cap."
    )
    truncated: Literal["not_chosen", "not_used", "allowed"] = Field(
        "not_chosen",
        description="Answers that hit the token limit: a pair is refused if its chosen one did; they are not used at "
        "all; or they are only flagged.",
    )
    batch: int = Field(128, ge=1, description="Answers committed to the store at once.")
    reward_batch_size: int = Field(64, ge=1, description="Answers scored at once.")
    reward_max_tokens: int = Field(
        512, ge=8, description="Question and answer together are cut to so many tokens for scoring."
    )
    reward_input: Literal["auto", "pair", "chat"] = Field(
        "auto",
        description="What the reward model reads: a pair of texts, or the conversation in its chat template; auto: "
        "what its tokenizer and architecture say.",
    )
    reward_label: str = Field(
        "",
        description="The output that is the score, by name or number; needed only by models with several. Empty: the "
        "only one, or of two the log-odds of the good one.",
    )

    @model_validator(mode="after")
    def _possible(self) -> PreferConfig:
        if self.on_policy != "off" and self.samples < 2:
            raise ValueError("on_policy needs samples of at least 2: a student is compared with itself")
        if self.on_policy != "off" and self.max_chosen_share not in (None, 1):
            raise ValueError("max_chosen_share cannot be below 1 with on_policy: one model writes every answer")
        return self


class TrainerConfig(Section):
    """What the three training methods share."""

    learning_rate: float = Field(2e-4, gt=0, description="Peak learning rate.")
    epochs: float = Field(3.0, gt=0, description="Passes over the data.")
    batch_size: int = Field(4, ge=1, description="Examples per device and step.")
    accumulation: int = Field(4, ge=1, description="Gradient accumulation steps; times batch_size is the global batch.")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Share of the steps with rising learning rate.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "cosine", description="Learning-rate schedule after warm-up."
    )
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    max_length: int = Field(1024, ge=16, description="Longest example, in tokens; longer ones are cut at the end.")
    checkpoint_steps: int = Field(25, ge=1, description="Steps between checkpoints; so many are lost on a crash.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations to save memory.")
    log_steps: int = Field(5, ge=1, description="Steps between logged losses.")


class LoraShape(Section):
    """The LoRA adapter."""

    r: int = Field(8, ge=1, description="Rank.")
    alpha: int = Field(16, ge=1, description="Scale; the update is multiplied by alpha / r.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: tuple[str, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        description="Linear modules adapted.",
    )


class SftConfig(TrainerConfig):
    """Supervised fine-tuning with LoRA; loss on the answers only."""

    lora: LoraShape = Field(LoraShape(), description="The adapter.")


class PromptTuningConfig(TrainerConfig):
    """Prompt tuning: only virtual tokens in front of the prompt are trained."""

    virtual_tokens: int = Field(20, ge=1, description="Length of the soft prompt.")
    init_text: str = Field(
        "", description="Text whose embeddings start the soft prompt; random vocabulary rows when empty."
    )
    students: Literal["first", "all", "none"] = Field("first", description="Which students are prompt-tuned.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")


class DpoConfig(TrainerConfig):
    """Direct preference optimization from each SFT adapter; the reference is the SFT policy."""

    beta: float = Field(0.1, gt=0, description="Strength of the pull to the reference.")
    learning_rate: float = Field(5e-6, gt=0, description="Peak learning rate.")
    epochs: float = Field(1.0, gt=0, description="Passes over the pairs.")
    sft_weight: float = Field(
        0.0, ge=0, description="Weight of the chosen answers' SFT loss, which is added to DPO's; 0: plain DPO."
    )


class TrainConfig(Section):
    """The three methods."""

    sft: SftConfig = Field(SftConfig(), description="LoRA SFT.")
    prompt_tuning: PromptTuningConfig = Field(PromptTuningConfig(), description="Prompt tuning.")
    dpo: DpoConfig = Field(DpoConfig(), description="DPO.")


class EvaluateConfig(Section):
    """Base, SFT, prompt tuning and DPO of each student on the same items."""

    benchmarks: tuple[Literal["nano_ifeval", "nano_mmlu", "nano_mt"], ...] = Field(
        ("nano_ifeval", "nano_mmlu", "nano_mt"), description="Benchmarks to run, in order.", min_length=1
    )
    ifeval_items: int = Field(240, ge=1, description="Items of nano_ifeval.")
    mmlu_items: int = Field(240, ge=1, description="Items of nano_mmlu.")
    mt_items: int = Field(240, ge=1, description="Two-turn conversations of nano_mt.")
    mt_temperature: float = Field(0.7, ge=0, description="Sampling temperature of nano_mt's answers.")
    max_new_tokens: int = Field(160, ge=1, description="Longest generated answer, in tokens.")

    @field_validator("benchmarks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a benchmark is named twice")
        return value


class ReportConfig(Section):
    """The report."""

    title: str = Field("Synthetic instruction tuning", description="Title of the report.")
    samples: int = Field(3, ge=0, description="Sample records, dropped records and answers shown.")
