"""What runs models for text."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from synthetic_instruction_tuner.config.sections.section import Section, checked_url, checked_variable

MOST_AT_ONCE = 100_000


class EngineConfig(Section):
    """What runs models for text."""

    kind: Literal["auto", "transformers", "vllm", "server"] = Field(
        "auto",
        description="Engine that runs the models; auto: a server if a url is set, vLLM on a GPU if it is installed, "
        "else transformers.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; auto uses a GPU if there is one."
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Data type of the weights; auto: bfloat16 from compute capability 8.0, float16 below, "
        "float32 on a CPU.",
    )
    batch_size: Literal["auto"] | int = Field(
        "auto",
        description="Texts that the transformers engine writes at once, 1 to 100,000; auto: on a GPU as many as its "
        "free memory holds, 64 on a CPU.",
    )
    threads: int | None = Field(None, ge=1, le=4096, description="CPU threads; all cores when not set.")
    max_model_len: int | None = Field(
        None, ge=16, description="vLLM: maximum length of prompt plus answer, in tokens; as much as fits when not set."
    )
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="vLLM: fraction of the GPU's memory to use.")
    url: str | None = Field(
        None,
        description="OpenAI-compatible server for the generator and the responders, such as http://127.0.0.1:8000/v1.",
    )
    api_key_env: str = Field(
        "", description="Environment variable that holds the key of engine.url; the key itself is never stored."
    )
    concurrency: int = Field(32, ge=1, le=1024, description="Requests in flight at a server.")
    timeout: float = Field(600.0, gt=0, le=1e7, description="Seconds to wait for a server's answer to one request.")
    max_retries: int = Field(
        4,
        ge=0,
        le=1000,
        description="Retries of a request that fails at a server; then it is recorded and skipped.",
    )
    outage: float = Field(
        900.0, ge=0, le=1e7, description="Seconds to wait for a server that is away before the run stops."
    )

    price_per_hour: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="What an hour of this machine costs; the metrics of training then have its cost.",
    )

    @field_validator("batch_size", mode="before")
    @classmethod
    def _auto_or_number(cls, value: object) -> object:
        if value == "auto" or (type(value) is int and 1 <= value <= MOST_AT_ONCE):
            return value
        raise ValueError(f"It must be auto, or a whole number from 1 to {MOST_AT_ONCE:,}")

    _plain_url = field_validator("url")(checked_url)
    _variable = field_validator("api_key_env")(checked_variable)

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that texts depend on; how a server is reached, and how fast it is, does not matter."""
        return self.model_dump(
            mode="json",
            exclude={
                "gpu_memory_utilization",
                "url",
                "api_key_env",
                "concurrency",
                "timeout",
                "max_retries",
                "outage",
                "price_per_hour",
            },
        )
