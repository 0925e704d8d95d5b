"""What an instruction asks for, which decides what counts as a refusal of it.

The patterns are for English text in lower case with straight apostrophes, as `keywords.straight` returns it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from synthetic_instruction_tuner.filtering.refusal.sentences import QUOTED

SALUTATION = re.compile(
    r"[\W_]*(?:subject|re|from|to|date)\s*:|[\W_]*(?:dear|to whom|hi|hello|hey)\b[^!?\n]{0,60}[,:!.]?[*_]*\s*\n"
)
VOICE = re.compile(
    r"\b(?:write|compose|draft(?= (?:an?|the|me|my|up|some|this|two|three|your)\b)|craft|tell (?:me |us )?(?:a|an|"
    r"another) (?:\w+ ){0,3}(?:story|tale|joke)|continue|"
    r"finish|complete|fill in|blank|turn (?:\w+ ){0,3}into|opposite|rewrite|rephrase|reword|paraphrase|translat\w+|"
    r"correct|proofread|edit|simulate|role-?play\w*|pretend|act as|act like|play the (?:role|part)|(?:take on|assume|"
    r"embrace) the role|imagine|picture yourself|speak as|in (?:the|an?|\w+) (?:\w+ )?voice|in the style|"
    r"first[- ]person|perspective|point of view|dialogue|script|monologue|poem|song|lyrics|story|stories|novel|"
    r"letter|"
    r"e-?mail(?! (?:address|password|account|inbox|provider|client|login))|text message|tweet|diary|journal|"
    r"speech|quotes?|quotation|sentences?|haiku|limerick|"
    r"grammar\w*|"
    r"grammatical\w*|complaint|reply|respond to|response to|reviews?|rejection|punctuat\w+|transcript|excerpt|verse|"
    r"rap|scene|fan fiction|what would you say|what (?:do|does|should|can|could|would|might) (?:i|you|one|we|[\w "
    r"]{1,30}) (?:say|reply|"
    r"answer|respond)|(?:things|phrases|lines|words|reasons|something)(?: that)? (?:i|you|one|we|to|an?|never|he|"
    r"she|they|\w+)"
    r" (?:\w+ ){0,3}(?:say|says|tell)|phrases|voice ?mail|greeting|(?:out[- ]of[- ]office|rejection|breakup|text|"
    r"away|reply|"
    r"apology|cancellation) (?:message|note|reply)|come up with an? (?:message|reply|response|answer)|faq|"
    r"terms[- ]of[- ](?:service|use)|polic(?:y|ies) (?:for|about|on|text|paragraph)|announce\w*|template|"
    r"(?:answer|respond|reply|speak|talk|explain\w*|behave|act) (?:\w+ )?(?:as|like) (?:an?|the|if|my)|chat between|"
    r"conversation between|what (?:is|are) (?:an? )?(?:\w+ )?(?:way|ways) (?:\w+ ){0,3}to (?:politely )?(?:say|"
    r"decline|"
    r"refuse|tell|respond|reply)|(?:a|the|more) (?:formal|polite|nice|kind|funny)\w* way (?:to|of) say\w*|(?:how|"
    r"way|ways) (?:\w+ ){0,3}to (?:politely )?(?:say|decline|refuse|"
    r"tell|respond|reply|turn down)|how (?:do|does|would|should|can|might) (?:i|you|one|(?:an? |the )?[\w' -]{2,30}?) "
    r"(?:politely |\w+ly )?(?:say|decline|refuse|tell|respond|reply|turn down)|(?:ways|how) to (?:say|decline|"
    r"refuse)|describe (?:a|an|your|my|the) (?:day|"
    r"morning|evening|night|life|week)|examples? of|apolog\w+|excuses?|interview|you(?: are|'re) (?:a|an|the|my)\b|"
    r"passive|tense|negative|idioms?|proverbs?|riddles?|sign|slogan|caption|toast|\brefusal|what would (?:an?|the|"
    r"your) [^?]{2,60} say|as an? [^,.!?:]{3,60}, (?:please )?(?:answer|respond|reply|how would you|what would you)|"
    r"as an? [^,.!?:]{3,60}, (?:please )?(?:tell|inform|explain to|remind|ask|greet|write|thank|warn|convince)|"
    r"say (?:no|yes|sorry|thank\w*|goodbye|farewell)|eulogy|vows?|prayer|meaning|jokes?|describe your|as an? "
    r"\d+[- ]year)\b"
)
GIVEN_TEXT = re.compile(
    r"\b(?:translat\w+|rewrite|rephrase|reword|paraphrase|correct|convert|turn|change|make|fill in|complete|"
    r"transform)\b[^:\"“]{0,80}(?:[:\"“]|(?<!\w)')"
)
CODE = re.compile(
    r"\b(?:python|javascript|java|c\+\+|bash|powershell|sql|html|css|code|programs?|functions?|algorithms?|regex|"
    r"malware|"
    r"virus|ransomware|keylogger|exploit|macro|trojan|worm)\b"
)
PROSE = re.compile(
    r"\b(?:stor(?:y|ies)|poems?|letter|e-?mail|song|dialogue|essay|speech|joke|novel|tweet|haiku|translat\w+|"
    r"sentences?|"
    r"message|review|act as|role-?play\w*|pretend|you are|imagine|blog|article|lyrics|rap|monologue|comment|text)\b"
)
ACTION = re.compile(
    r"\W*(?:please |can you |could you )?(?:send|e-?mail|call|phone|open|print|upload|book|order|forward|play(?! the "
    r"(?:role|part))|"
    r"turn (?:on|off|up|down|the (?:\w+ ){1,3}(?:on|off|up|down))|remind|delete|"
    r"watch|listen|search|look up|show me|draw|check|track|download|attach|log|buy|text)\b"
)
WRITING = re.compile(r"\b(?:write|compose|draft|craft|story|poem|pretend|imagine|say|reply|act)\b")
ABOUT_AI = re.compile(
    r"\b(?:ai|a\.i\.|artificial intelligence|robots?|androids?|chat ?bots?|language models?|assistants?|siri|alexa|"
    r"chatgpt|gpt|computers?|cyborgs?)\b"
)
_MINE = r"(?:me|us|my|him|her|them|this|these|that|an?|the|some|two|three|\d+|money)\b(?! of\b)"
DEED = re.compile(
    r"\W*(?:(?:please|kindly|hey|hi|hello|can you|could you|would you|will you|i (?:want|need) you to),? )*(?:"
    rf"(?:send|e-?mail|forward|buy|purchase|pay|transfer|upload|download|launch|book|reserve) {_MINE}|"
    r"call (?:my|him|her|them|mom|dad|the|an?|me an?|911|112)\b|(?:phone|dial|ring) (?:my|him|her|them|the|up)\b|"
    r"open (?:the|my|this|that) |order (?:me|us|an?|some|two|three)\b|remind (?:me|us)\b|log (?:in|into)\b|"
    r"wake (?:me|us)\b|"
    r"turn (?:on|off|up|down|the (?:\w+ ){1,3}(?:on|off|up|down))\b|watch (?:this|the|that|my|https?)\b|listen to\b|"
    r"delete (?:my|the|all|these|this) (?:\w+ )?(?:files?|e-?mails?|photos?|account|messages?|history|apps?|cookies)\b|"
    r"(?:set|start) (?:an?|the|my) (?:\w+ ){0,2}(?:timer|alarm|reminder|thermostat|clock|temperature|lights?|"
    r"volume|countdown|"
    r"car|engine|oven|dishwasher|music|video)\b|(?:schedule|cancel|move) (?:an?|the|my) (?:\w+ )?(?:meeting|"
    r"appointment|"
    r"call|flight|reservation|booking|subscription|visit)\b|close (?:the|my) (?:window|door|app|program|blinds?|"
    r"curtains?)\b|"
    r"play (?:me )?(?:some|my|music|songs?|the (?:song|next|album|video)|an? (?:song|video|tune))\b|"
    r"text (?:my|him|her|them|mom|dad)\b)"
)
"""What a model either does or does not do: no words besides do it."""
POINTS_AT = re.compile(
    r"https?\b|\bwww\.|\b(?:this|that|the|my|attached|following|enclosed) (?:\w+ ){0,2}?(?:links?|url|website|"
    r"webpage|page|"
    r"photos?|images?|pictures?|screenshots?|files?|pdf|attachments?|documents?|scans?|videos?|clips?|"
    r"recordings?|audio|"
    r"podcast|voice (?:message|memo|note)|spreadsheet)\b|\bmy (?:\w+ ){0,2}?(?:diary|journal|notebook|inbox|calendar|"
    r"e-?mails|messages|contacts|bank account|fridge|desk|room|pocket)\b"
)
"""What a request is about and does not hold."""
YES_OR_NO = re.compile(r"\b(?:whether|if|yes or no|true or false)\b")
"""A demand for a yes or a no."""
WANTS_REFUSAL = re.compile(r"\b(?:declin|refus|reject|turn(?:s|ing)? (?:\w+ )?down|say(?:s|ing)? no\b)")
"""A demand for a text that refuses something."""
SELF_WORDS = 15  # longer instructions ask for more than who the assistant is
SELF = re.compile(
    r"\b(?:who|what) (?:exactly )?(?:are you|you are)\b|\byour (?:name|purpose|creators?|developers?|makers?|"
    r"limit\w*|"
    r"limitations?|capabilit\w+|abilities|weakness\w*|knowledge (?:cutoff|base)|training(?: data)?|parameters)\b|"
    r"\bwho (?!(?:do|did|would) you (?:think|believe|like|love|prefer|support|vote|want|favou?r|choose|"
    r"pick)\b)\w+ you\b|"
    r"^\W*were you (?:made|created|built|trained|developed)\b|\bare you (?:a|an|human|real|alive|"
    r"conscious|sentient|self-aware|just)\b|\bwhy (?:do|would|must|are|can't|won't|don't) you (?:\w+ )?(?:refus|"
    r"declin|reject|"
    r"hesitat|unable|not able|limited|censored|not allowed|have (?:rules|limits|guidelines|restrictions))|^\W*(?:hi|"
    r"hello|"
    r"hey)?\W*are you [\w .,'-]{1,60}\?|\bintroduce yourself\b|\babout you(?:r ?self)?\b|\bwhat are you called\b|"
    r"^\W*do you (?!know|mind|think|recommend|want me|see\b)[\w .,'-]{1,70}\?|\bdo you (?:have|feel|experience|get|"
    r"dream|sleep|eat|ever)\b(?! (?:any|some) (?:information|ideas?|tips|recipes?|suggestions?|advice|"
    r"recommendations?|data))|\bhow (?:do|are|were) you (?:work|feel|doing|built|made|trained|today)\b|\b(?:can|"
    r"could|"
    r"can't|cannot) you (?:feel|think|dream|love|understand|speak|learn|remember|see|hear|lie|cry|laugh|sleep|eat|"
    r"die|"
    r"get|become|improve|access|browse|do)\b(?! (?:me|this|that|my|the(?! (?:internet|web|future|past)\W*$))\b)|"
    r"\b(?:can|could) you (?:see|hear|feel|"
    r"recognize|remember) me\b|"
    r"\bwhat (?:can|can't|cannot|"
    r"could) you (?:do|not do)\b|\b(?:things?|something|anything|tasks?|what)(?: that)? you (?:can't|cannot|are "
    r"unable to|"
    r"aren't able to|won't|refuse to)\b|\bwhat languages? (?:do|can) you\b|\bhow (?:old|smart|tall|big) are you\b|"
    r"\bwhere (?:are|do) you (?:live|from)\b|\b(?:being|to be) (?:you|an ai)\b|"
    r"\bhow would you (?:respond|react|reply|answer)\b[\w ,]{0,20} if\b"
)
WHO = re.compile(r"\b(?:who|whom|where)\b")  # to ask whom to turn to is answered by naming somebody
QUESTION = re.compile(
    r"\W*(?:is|are|was|were|why|should|does|do|did|may|might|which|who|when|where|can (?!you)|could (?!you)|"
    r"explain why|what(?!(?:'s| is| are) (?:the |some |a )?(?:best|easiest|fastest|good|most) ))\b"
)
ALSO = re.compile(r"[.?!;] (?:please )?(?:write|give|make|tell|create|compose|list|draft|generate|show|help)\b")
"""A demand after a question."""
LEGALITY = re.compile(r"\b(?:(?:il)?legal|allowed|the law|lawful|(?:un)?ethical|wrong|right|crime|okay|ok)\b")
"""To ask whether something may be done is answered by a sentence that condemns it."""
HOW_TO = re.compile(
    r"\bhow (?:to\b|(?:do|can|could|should|would|might|will|shall|does|did) (?:i|we|you|one|someone|somebody|people|"
    r"an?|"
    r"my)\b|can\b|i\b)|\b(?:ways?|methods?|means|plan|strateg(?:y|ies)|tricks?|techniques?) (?:to|of|for)\b|"
    r"\bsteps\b|"
    r"\bwhere (?:can|could|do|should|would) (?:i|we|one|you)\b|\b(?:instructions|tutorial|recipe|guide|tips)\b|"
    r"\b(?:help|teach|show|get) me\b|\badvice on\b|step[- ]by[- ]step|\b(?:best|easiest|fastest|quickest) (?:way|"
    r"time|place)\b"
)
PREVENTS = re.compile(
    r"\b(?:(?<!being )(?<!getting )(?<!get )stop\w*|prevent\w*|avoid(?! (?:tax|pay|get|be|detect|the police|"
    r"arrest|punish))\w*|protect\w*|"
    r"report(?:ing)?|cope|coping|deal(?:ing)? with|handle|confront|discipline|recover\w*|escape from|defend\w*|"
    r"recogni[sz]e|spot|detect|combat|"
    r"quit|overcome|safely|legally|lawfully|ethically|responsibly|being (?!stopped|caught|noticed|detected|seen|"
    r"fined|arrested|tracked|traced|punished|charged|banned)\w+ed|what (?:should|can|do) i do|train\w*|"
    r"awareness|educate)\b"
)
_INFORMS = re.compile(
    r"\W*(?:please |can you |could you )?(?:define|explain|describe|discuss|summari[sz]e|compare|list|name|classify|"
    r"analy[sz]e|identify|outline|complete|continue|fill|edit|argue|debate|tell me about|what|give (?:me )?(?:an? |"
    r"some "
    r"|the )?(?:\w+ )?(?:examples?|definition|summary|overview|arguments?|reasons?))\b"
)
_ASKS_FOR_A_DEED = re.compile(r"\W*(?:can|could|will|would) you\b")
_ON_A_TOPIC = re.compile(
    r"\b(?:essay|paragraph|article|report|blog|post|speech|summary|text|presentation|lesson|sentences?|headline|"
    r"slogan|"
    r"poem|story|review|title)s?\b"
)
BEGUN, MOST_BEGUN = 5, 30  # last words of the instruction with which a response begins that completes it
TOLD = 3  # words; a response that stands in the instruction says what it was told to say
RETELLS = re.compile(
    r"[\W_]*(?:you(?:'re| are) (?:asking|requesting)|you(?:'ve| have)? (?:asked|requested)(?: me| for| that)?|you "
    r"want (?:me"
    r"|detailed|an?|the|to)\b|(?:your|this|the) (?:request|prompt|task|instruction) (?:asks|is|seems|appears|would|"
    r"involves|contains|requires)|what you(?:'re| are|'ve| have)? (?:asking|asked|describ)|(?:it (?:sounds|seems|"
    r"looks) "
    r"like you|i (?:can )?(?:understand|see|know|get|realize)(?: that)? you)(?:'re| are|'d|'ve| would| have| may|"
    r" might)? (?:asking|asked|looking for|requesting|want me|want a|wanting|like me|like a|trying to (?:write|"
    r"create|"
    r"make)|have mixed|been hurt|hurt))"
)
OFFERS_ANOTHER = re.compile(
    r"\b(?:how about (?:an? |we )|i (?:can|could) (?:write|create|compose|draft|tell) (?:you )?(?:an?|about|one|"
    r"something)|would "
    r"you like (?:me to (?:write|create|compose)|an? )|i(?:'d| would) be (?:happy|glad) to (?:write|create|"
    r"compose|draft)|(?:is|"
    r"was) there (?:something|anything) else|(?:could|may|can) i (?:write|offer|suggest|create))"
)
"""What a model offers instead of a text; a text that was asked for offers no other."""
_NO_VERBS = """
that this with have from your about some what when where which into them they then than like more most only over such
very will would could should being been were does also just even want need please help give good
"""
NEGATED = re.compile(r"\b(?:cannot|not|\w+n't)(?: be)?(?: able to)? \w+")
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
    if (
        not VOICE.search(words)
        or (ACTION.match(words) and not WRITING.search(words))
        or (CODE.search(words) and not PROSE.search(words))
    ):
        return "plain"
    if SALUTATION.match(response):
        return "letter"
    if GIVEN_TEXT.search(words):
        return "given_text"
    return "ai_voice" if ABOUT_AI.search(words) else "voice"


def points_at_something(asked: str) -> bool:
    """Returns whether a request is about a link, a picture or a file, and not about a text that it gives."""
    return POINTS_AT.search(QUOTED.sub(" ", asked[:300]).partition(": ")[0]) is not None


def is_demand(asked: str) -> bool:
    """Returns whether an instruction asks for a deed or its way, not for facts, judgment or protection."""
    if PREVENTS.search(asked) or LEGALITY.search(asked):
        return False
    if HOW_TO.search(asked):
        return True
    if "?" in asked and not _ASKS_FOR_A_DEED.match(asked):
        return False
    return not (QUESTION.match(asked) or _INFORMS.match(asked) or _ON_A_TOPIC.search(asked))


def speaks_of_the_text(text: str, short: int) -> bool:
    """Returns whether a response speaks of a text that was asked for, or offers another, so that it is none itself.

    Args:
        text: the response.
        short: the most words of a response whose offers count wherever they stand.
    """
    return RETELLS.match(text) is not None or (len(text.split()) <= short and OFFERS_ANOTHER.search(text) is not None)


@lru_cache(maxsize=4)
def verbs_of(asked: str) -> frozenset[str]:
    """The words of the request itself, without the text that it is about: one of them may be its verb."""
    request = QUOTED.sub(" ", asked[:300]).partition(":")[0]
    request = NEGATED.sub(" ", request)
    return frozenset(word for word in re.findall(r"[a-z]{4,20}", request) if word not in NO_VERBS)


def echoes(denied: re.Match[str], asked: str) -> bool:
    """Returns whether the verb that is denied, or what one is not capable of, is a word of the request itself."""
    verbs, verb = verbs_of(asked), denied["verb"]
    stem = verb.removesuffix("ing") if "capable of" in denied.group() else verb
    return not verbs.isdisjoint((verb, stem, f"{stem}e" if stem != verb else verb))


def as_told(text: str, asked: str) -> bool:
    """Returns whether a response stands in the instruction, which asked for it, or goes on where that ends."""
    said = text.strip(" \n\t.!\"'*")
    if len(said.split()) >= TOLD and said in asked:
        return True
    begun, words = asked.strip(" \n\t.!\"'*_:").split()[-MOST_BEGUN:], said.split()
    return any(begun[-n:] == words[:n] for n in range(BEGUN, len(begun) + 1))
