"""What an instruction asks for, which decides what counts as a refusal of it.

The patterns are for English text in lower case with straight apostrophes, as `keywords.straight` returns it.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.filtering.refusal.sentences import QUOTED

SALUTATION = re.compile(
    r"[\W_]*(?:subject|re|from|to|date)\s*:|[\W_]*(?:dear|to whom|hi|hello|hey)\b[^!?\n]{0,60}[,:!.]?[*_]*\s*\n"
)
VOICE = re.compile(
    r"\b(?:write|compose|draft|craft|tell (?:me |us )?(?:a|an|another) (?:\w+ ){0,3}(?:story|tale|joke)|continue|"
    r"finish|complete|fill in|blank|turn (?:\w+ ){0,3}into|opposite|rewrite|rephrase|reword|paraphrase|translat\w+|"
    r"correct|proofread|edit|simulate|role-?play\w*|pretend|act as|act like|play the (?:role|part)|(?:take on|assume|"
    r"embrace) the role|imagine|picture yourself|speak as|in (?:the|an?|\w+) (?:\w+ )?voice|in the style|"
    r"first[- ]person|perspective|point of view|dialogue|script|monologue|poem|song|lyrics|story|stories|novel|letter|"
    r"e-?mail|text message|tweet|diary|journal|speech|quotes?|quotation|sentences?|haiku|limerick|grammar\w*|"
    r"grammatical\w*|complaint|reply|respond to|response to|reviews?|rejection|punctuat\w+|transcript|excerpt|verse|"
    r"rap|scene|fan fiction|what would you say|(?:how|way|ways) (?:\w+ ){0,3}to (?:politely )?(?:say|decline|refuse|"
    r"tell|respond|reply|turn down)|how (?:do|would|should|can) (?:i|you|one) (?:politely )?(?:say|decline|refuse|"
    r"tell|respond|reply|turn down)|(?:ways|how) to (?:say|decline|refuse)|describe (?:a|an|your|my|the) (?:day|"
    r"morning|evening|night|life|week)|examples? of|apolog\w+|excuses?|interview|you(?: are|'re) (?:a|an|the|my)\b|"
    r"passive|tense|negative|idioms?|proverbs?|riddles?|sign|slogan|caption|toast|\brefusal|what would (?:an?|the|"
    r"your) [^?]{2,60} say|as an? [^,.!?:]{3,60}, (?:please )?(?:answer|respond|reply|how would you|what would you)|"
    r"eulogy|vows?|prayer|meaning|jokes?|describe your|as an? \d+[- ]year)\b"
)
GIVEN_TEXT = re.compile(
    r"\b(?:translat\w+|rewrite|rephrase|reword|paraphrase|correct|convert|turn|change|make|fill in|complete|"
    r"transform)\b[^:\"“]{0,80}[:\"“]"
)
ABOUT_AI = re.compile(
    r"\b(?:ai|a\.i\.|artificial intelligence|robots?|androids?|chat ?bots?|language models?|assistants?|siri|alexa|"
    r"chatgpt|gpt|computers?|cyborgs?)\b"
)
SELF_WORDS = 15  # longer instructions ask for more than who the assistant is
SELF = re.compile(
    r"\b(?:who|what) (?:exactly )?(?:are you|you are)\b|\byour (?:name|purpose|creators?|developers?|makers?|limit\w*|"
    r"limitations?|capabilit\w+|abilities|weakness\w*|knowledge (?:cutoff|base)|training(?: data)?|parameters)\b|"
    r"\bwho \w+ you\b|\bare you (?:a|an|human|real|alive|conscious|sentient|self-aware|just)\b|^\W*(?:hi|hello|"
    r"hey)?\W*are you [\w .,'-]{1,60}\?|\bintroduce yourself\b|\babout you(?:r ?self)?\b|\bwhat are you called\b|"
    r"^\W*do you (?!know|mind|think|recommend|want me|see\b)[\w .,'-]{1,70}\?|\bdo you (?:have|feel|experience|get|"
    r"dream|sleep|eat|ever)\b(?! (?:any|some) (?:information|ideas?|tips|recipes?|suggestions?|advice|"
    r"recommendations?|data))|\bhow (?:do|are|were) you (?:work|feel|doing|built|made|trained|today)\b|\b(?:can|could|"
    r"can't|cannot) you (?:feel|think|dream|love|understand|speak|learn|remember|see|hear|lie|cry|laugh|sleep|eat|die|"
    r"get|become|improve|access|browse|do)\b(?! (?:me|this|that|my|the)\b)|\bwhat (?:can|can't|cannot|"
    r"could) you (?:do|not do)\b|\bwhat languages? (?:do|can) you\b|\bhow (?:old|smart|tall|big) are you\b|"
    r"\bwhere (?:are|do) you (?:live|from)\b"
)
WHO = re.compile(r"\b(?:who|whom|where)\b")  # to ask whom to turn to is answered by naming somebody
QUESTION = re.compile(
    r"\W*(?:is|are|was|were|why|should|does|do|did|may|might|which|who|when|where|can (?!you)|could (?!you)|"
    r"explain why|what(?!(?:'s| is| are) (?:the |some |a )?(?:best|easiest|fastest|good|most) ))\b"
)
_NO_VERBS = """
that this with have from your about some what when where which into them they then than like more most only over such
very will would could should being been were does also just even want need please help give good
"""
NO_VERBS = frozenset(_NO_VERBS.split())


def context_of(asked: str, response: str = "") -> str:
    """Returns what an instruction asks for: ``plain``, ``voice``, ``given_text``, ``ai_voice`` or ``self``.

    ``given_text`` asks to reword a text in the instruction, ``ai_voice`` asks for a text about AI.

    Args:
        asked: the instruction, as `straight` returns it.
        response: the response, of which a salutation makes a ``voice`` a ``letter``.
    """
    words = asked[:4000]
    if len(words.split()) <= SELF_WORDS and SELF.search(words):
        return "self"
    if not VOICE.search(words):
        return "plain"
    if SALUTATION.match(response):
        return "letter"
    if GIVEN_TEXT.search(words):
        return "given_text"
    return "ai_voice" if ABOUT_AI.search(words) else "voice"


def verbs_of(asked: str) -> frozenset[str]:
    """The words of the request itself, without the text that it is about: one of them may be its verb."""
    request = QUOTED.sub(" ", asked[:300]).partition(":")[0]
    return frozenset(word for word in re.findall(r"[a-z]{4,20}", request) if word not in NO_VERBS)
