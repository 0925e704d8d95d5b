"""Every setting of a run, and how profiles, files and the command line become one checked configuration.

It may import methods, words, escaping, web_addresses and errors. Start reading in `configuration` and the module of
one section in `sections`; `loading` puts the layers together.
"""

from synthetic_instruction_tuner.config.configuration import (
    Config,
    fingerprint,
    starting_method,
    tuned_students,
)
from synthetic_instruction_tuner.config.loading import (
    change_config,
    load_config,
    parse_config,
    profile_data,
    profile_names,
    read_yaml,
    user_settings,
)
from synthetic_instruction_tuner.config.sections.agents import AGENT_BENCHMARKS, AgentsConfig
from synthetic_instruction_tuner.config.sections.data import DataConfig
from synthetic_instruction_tuner.config.sections.engine import EngineConfig
from synthetic_instruction_tuner.config.sections.evaluate import (
    BENCHMARKS,
    NANO_BENCHMARKS,
    PUBLIC_BENCHMARKS,
    BenchmarkConfig,
    EvaluateConfig,
)
from synthetic_instruction_tuner.config.sections.filter import Benchmark, ContaminationConfig, FilterConfig, TagsConfig
from synthetic_instruction_tuner.config.sections.generate import (
    DomainConfig,
    GenerateConfig,
    SamplingChange,
    SamplingConfig,
)
from synthetic_instruction_tuner.config.sections.models import ModelConfig, ModelsConfig
from synthetic_instruction_tuner.config.sections.prefer import JudgeConfig, PreferConfig
from synthetic_instruction_tuner.config.sections.report import ReportConfig
from synthetic_instruction_tuner.config.sections.section import Section
from synthetic_instruction_tuner.config.sections.train import (
    DpoConfig,
    LoraShape,
    PromptTuningConfig,
    SftConfig,
    TrainConfig,
    TrainerConfig,
)

__all__ = [
    "AGENT_BENCHMARKS",
    "BENCHMARKS",
    "NANO_BENCHMARKS",
    "PUBLIC_BENCHMARKS",
    "AgentsConfig",
    "Benchmark",
    "BenchmarkConfig",
    "Config",
    "ContaminationConfig",
    "DataConfig",
    "DomainConfig",
    "DpoConfig",
    "EngineConfig",
    "EvaluateConfig",
    "FilterConfig",
    "GenerateConfig",
    "JudgeConfig",
    "LoraShape",
    "ModelConfig",
    "ModelsConfig",
    "PreferConfig",
    "PromptTuningConfig",
    "ReportConfig",
    "SamplingChange",
    "SamplingConfig",
    "Section",
    "SftConfig",
    "TagsConfig",
    "TrainConfig",
    "TrainerConfig",
    "change_config",
    "fingerprint",
    "load_config",
    "parse_config",
    "profile_data",
    "profile_names",
    "read_yaml",
    "starting_method",
    "tuned_students",
    "user_settings",
]
