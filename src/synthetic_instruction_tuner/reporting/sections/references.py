"""The works that a report refers to. A report lists those that its text cites, in the order in which it does."""

from __future__ import annotations

from typing import NamedTuple


class Reference(NamedTuple):
    """One work: its authors and year, its title, and where it is."""

    authors: str
    title: str
    url: str


def _arxiv(authors: str, title: str, number: str) -> Reference:
    return Reference(authors, title, f"https://arxiv.org/abs/{number}")


REFERENCES: dict[str, Reference] = {
    "magpie": _arxiv(
        "Xu et al., 2024",
        "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing",
        "2406.08464",
    ),
    "lora": _arxiv("Hu et al., 2021", "LoRA: Low-Rank Adaptation of Large Language Models", "2106.09685"),
    "prompt_tuning": _arxiv(
        "Lester et al., 2021", "The Power of Scale for Parameter-Efficient Prompt Tuning", "2104.08691"
    ),
    "dpo": _arxiv(
        "Rafailov et al., 2023",
        "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
        "2305.18290",
    ),
    "ifeval": _arxiv("Zhou et al., 2023", "Instruction-Following Evaluation for Large Language Models", "2311.07911"),
    "mmlu": _arxiv("Hendrycks et al., 2020", "Measuring Massive Multitask Language Understanding", "2009.03300"),
    "mt_bench": _arxiv("Zheng et al., 2023", "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", "2306.05685"),
    "agent_bench": _arxiv("Liu et al., 2023", "AgentBench: Evaluating LLMs as Agents", "2308.03688"),
    "miller": _arxiv(
        "Miller, 2024", "Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations", "2411.00640"
    ),
    "holm": Reference(
        "Holm, 1979", "A Simple Sequentially Rejective Multiple Test Procedure", "https://www.jstor.org/stable/4615733"
    ),
    "mcnemar": Reference(
        "McNemar, 1947",
        "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages",
        "https://doi.org/10.1007/BF02295996",
    ),
    "wilson": Reference(
        "Wilson, 1927",
        "Probable Inference, the Law of Succession, and Statistical Inference",
        "https://doi.org/10.1080/01621459.1927.10502953",
    ),
    "hall": Reference(
        "Hall, 1992",
        "On the Removal of Skewness by Transformation",
        "https://doi.org/10.1111/j.2517-6161.1992.tb01876.x",
    ),
}
