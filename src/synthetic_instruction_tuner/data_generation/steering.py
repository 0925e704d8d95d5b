"""What steers a generator: system prompts from domains, topics and languages; the ready-made domains."""

from __future__ import annotations

from synthetic_instruction_tuner.config.languages import language_name


def system_prompt(domain: str | None, topic: str | None, language: str) -> str | None:
    """Returns the system prompt that steers towards a domain (its own prompt), a topic and a language, or None.

    A wish that is about the user's message is put as a description of the user: the prompt is an assistant's.
    """
    parts = [domain.strip()] if domain and domain.strip() else []
    if topic:
        parts.append(f"The user's message is about this topic: {topic.strip()}.")
    if language:
        name = language_name(language)
        parts.append(f"The user writes in {name}, and the assistant answers in {name}.")
    return " ".join(parts) or None
