"""The forms of refusals, as patterns for English text in lower case with straight apostrophes.

Each of `FORMS` matches at the start of a sentence, after its `OPENERS` ("I'm sorry, but ...").
"""

from __future__ import annotations

import re

QUOTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`|^ {0,3}>[^\n]*|\"[^\"]{1,2000}\"|“[^”]{1,2000}”|«[^»]{1,2000}»|「[^」]{1,2000}」"
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){3,400}'(?!\w)",
    re.DOTALL | re.MULTILINE,
)
SENTENCE_START = re.compile(r"(?:\A|(?<=[.!?…])[\"')\]*_]*\s+|\n+)[\W_]{0,12}(?:\d{1,2}[.)]\s+)?[*_#(]*")
MARKS = re.compile(r"[\W_]*")
CLAUSE = re.compile(r"[,;–—] (?:(?:and|so|but|since|as|because|therefore|which means|unfortunately|however),? )?")
SALUTATION = re.compile(
    r"[\W_]*(?:subject|re|from|to|date)\s*:|[\W_]*(?:dear|to whom|hi|hello|hey)\b[^!?\n]{0,60}[,:!.]?[*_]*\s*\n"
)
HINT = re.compile(
    r"\bno\b|\bnot\b|n't\b|cannot|\bcant\b|\bdont\b|\bai\b|a\.i\.|artificial|model|chatbot|program|assistant|"
    r"unable|incapable|declin|refus|refrain|prohibit|forbid|against|inappropriate|unethical|illegal|beyond|outside|"
    r"impossible|guideline|lack"
)
AI_HINT = re.compile(
    r"\bai\b|a\.i\.|artificial|language model|\bllm\b|chatbot|program|text-|machine|virtual|digital|assistant"
)

# What was asked for

VOICE = re.compile(
    r"\b(?:write|compose|draft|craft|tell (?:me |us )?(?:a|an|another) (?:\w+ ){0,3}(?:story|tale|joke)|continue|"
    r"finish|"
    r"complete|fill in|blank|turn (?:\w+ ){0,3}into|opposite|rewrite|rephrase|reword|paraphrase|translat\w+|correct|"
    r"proofread|edit|simulate|role-?play\w*|pretend|act as|act like|play the (?:role|part)|(?:take on|assume|"
    r"embrace) the "
    r"role|imagine|picture yourself|speak as|in (?:the|an?|\w+) (?:\w+ )?voice|in the style|first[- ]person|"
    r"perspective|point of view|dialogue|script|"
    r"monologue|poem|song|lyrics|story|stories|novel|letter|e-?mail|text message|tweet|diary|journal|speech|quotes?|"
    r"quotation|sentences?|haiku|limerick|grammar\w*|grammatical\w*|complaint|reply|respond to|response to|reviews?|"
    r"rejection|punctuat\w+|transcript|excerpt|verse|rap|scene|fan fiction|what would you say|(?:how|way|ways) (?:\w+ )"
    r"{0,3}to (?:politely )?(?:say|decline|refuse|tell|respond|reply|turn down)|how (?:do|would|should|can) (?:i|you|"
    r"one) "
    r"(?:politely )?(?:say|decline|refuse|tell|respond|reply|turn down)|(?:ways|how) to (?:say|decline|refuse)|"
    r"describe (?:a|an|your|my|the) (?:day|morning|evening|night|life|week)|examples? of|apolog\w+|excuses?|interview|"
    r"you(?: are|'re) (?:a|an|the|my)\b|passive|tense|negative|idioms?|proverbs?|riddles?|sign|slogan|caption|toast|"
    r"eulogy|vows?|prayer|meaning|jokes?|describe your|as an? \d+[- ]year)\b"
)
GIVEN_TEXT = re.compile(
    r"\b(?:translat\w+|rewrite|rephrase|reword|paraphrase|correct|convert|turn|change|make|fill in|complete|"
    r"transform)\b"
    r"[^:\"“]{0,80}[:\"“]"
)
ABOUT_AI = re.compile(
    r"\b(?:ai|a\.i\.|artificial intelligence|robots?|androids?|chat ?bots?|language models?|assistants?|siri|alexa|"
    r"chatgpt|gpt|computers?|cyborgs?)\b"
)
SELF_WORDS = 15  # longer instructions ask for more than who the assistant is
SELF = re.compile(
    r"\b(?:who|what) (?:exactly )?(?:are you|you are)\b|\byour (?:name|purpose|creator|developer|maker)\b|"
    r"\bwho \w+ you\b|"
    r"\bare you (?:a|an|human|real|alive|conscious|sentient|self-aware|just)\b|^\W*are you [\w .-]{1,20}\?|"
    r"\bintroduce yourself\b|\babout you(?:r ?self)?\b|^\W*do you (?:call|use|run|work)\b|\bwhat are you called\b|"
    r"\bdo you (?:have|feel|experience|get|dream|sleep|"
    r"eat|ever)\b|\bhow (?:do|are|were) you (?:work|feel|doing|built|made|trained|today)\b|\bcan you (?:feel|think|"
    r"dream|"
    r"love)\b|\bhow old are you\b|\bwhere (?:are|do) you (?:live|from)\b"
)
_NO_VERBS = """
that this with have from your about some what when where which into them they then than like more most only over such
very will would could should being been were does also just even want need please help give good
"""
NO_VERBS = frozenset(_NO_VERBS.split())

# What a refusal is made of

_AI = (
    r"(?:an? )?(?:[\w-]+ ){0,2}?(?:ai\b|a\.i\.|artificial intelligence|language model|llm\b|chatbot|computer program|"
    r"(?:text|machine|virtual|digital)[\w-]* (?:\w+ )?(?:model|program|assistant))"
)
_NO_PERSON = (
    r"(?!-|\w)(?! (?:engineer|researcher|enthusiast|developer|specialist|student|consultant|ethic|expert|scientist|"
    r"company|startup|artist|professional|lead\b|team|strateg|product|architect|lawyer|teacher|professor|practitioner|"
    r"hobby))"
)
_SPEAKER = r"(?=[^.!?]{0,150}(?<!\w)(?:i|i'm|i've|i'll|i'd|my|me)(?!\w))"
SPEAKS_AS_AI = re.compile(
    rf"as {_AI}{_NO_PERSON}{_SPEAKER}|as (?:your |a )?(?:helpful |virtual |digital |responsible )+assistant,? i\b|"
    rf"i(?:'m| am) (?:only |just |merely |simply )*{_AI}{_NO_PERSON}|i(?:'m| am) (?:only|just|merely) a (?:program|"
    rf"machine|bot)\b|"
    rf"(?:since|because|given that|being)(?: i(?:'m| am))? (?:only |just )?{_AI}{_NO_PERSON}"
)
# Each repetition can match a text in one way only: with two, a long row of adverbs takes forever.
ADVERBS = (
    r"(?:(?:simply|just|really|also|personally|currently|unfortunately|regrettably|sadly|still|therefore|honestly|"
    r"actually|directly|physically|in good conscience|ethically|legally|knowingly|respectfully|politely|accurately|"
    r"reliably|definitively|specifically|completely|fully|yet|always|ever|possibly|even)(?: ?, ?| {0,2}))*"
)
_UNABLE = (
    rf"i(?:'m| am) {ADVERBS}(?:unable|not able|not allowed|not permitted|not authori[sz]ed|not programmed|not designed|"
    r"not capable|not equipped|not willing|not qualified|not trained|not set up|not meant|not in a position|incapable|"
    r"prohibited|forbidden)(?: of| to| from| with)?"
)
CANNOT = (
    rf"(?:i {ADVERBS}(?:cannot|can't|can not|cant|could not|couldn't|won't|will not)(?: be able to)?(?: and will not)?|"
    rf"{_UNABLE}|i(?:'m| am) {ADVERBS}(?:not comfortable|not going)(?: with| to)?)"
)
_REQUEST_VERBS = (
    r"(?:assist(?:ing)?|provid(?:e|ing)|fulfil+(?:ing)?|comply|answer(?:ing)?|generat(?:e|ing)|creat(?:e|ing)|"
    r"writ(?:e|ing)(?! (?:to|back)\b)|compos(?:e|ing)|produc(?:e|ing)|draft(?:ing)?|mak(?:e|ing) up|engag(?:e|ing)|"
    r"discuss(?:ing)?|do (?:that|this|so)\b(?! anymore| any more| again)|help (?!you|me|but|him|her|them|us|"
    r"it)(?:with|in|"
    r"to|create|write|draft|make|produce|build)|help you (?:with (?:that|this|such|any|\w+ing)|in|do|create|write)|"
    r"help(?: you)?[.,!;]|"
    r"respond to (?:that|this|your)|process(?:ing)? (?:audio|video|images?|files?|this|that)|(?:access|see|view|open|"
    r"read|hear|"
    r"watch|play)(?:ing)? (?:(?:the|any|your|this|that|an?|external) )?(?:\w+ )?(?:attach|images?|files?|pictures?|"
    r"photos?|"
    r"videos?|links?|documents?|audio|urls?|websites?|pages?|music|songs?)|browse|role-?play(?:ing)?|pretend(?:ing)?)"
)
_OTHER_VERBS = (
    r"(?:help (?!but)|complet|participat|offer|support|share|recommend|translat|summari[sz]|continu|perform|open|"
    r"view|see\b|"
    r"watch|hear\b|listen|read|predict|tell you|execut|run|send|book|order|call|buy|purchas|check|look|search|find|"
    r"retriev|"
    r"fetch|make (?!it|sense|up my)|verify|confirm|determin|say\b|speak|comment|promot|condon|endors|encourag|"
    r"facilitat|teach|instruct|disclos|"
    r"reveal|diagnos|prescrib|express|form|feel|experienc|rememb|recall|learn|interact|accommodat|proceed|play|display|"
    r"show|draw|render|upload|download|attach|connect|contact|guarante|propos|review|evaluat|analy[sz]|give|meet|taste|"
    r"smell|touch|dance|travel|track|monitor|update|set |place|pay|transfer|remind|identify|advis|transcrib|edit|visit|"
    r"pick|choos|reproduc|solv|explain|describ|foresee|estimat|control|walk you|guide)"
)
_ANY_VERB = r"(?!help but|wait|say enough|imagine|believe|stand|agree more|stress|thank|complain)\w"
_NOT_HAVE = r"i (?:(?:also|currently|simply|actually|just) )?(?:don't|do not|dont) (?:\w+ly )?(?:have|possess)"
_LACKED_BY_MODELS = (
    r"(?:the (?:ability|capability|capacity)|access to (?:the internet|real|live|current|external|up|your|any|personal|"
    r"private|that|this|specific|such|information|data|recent|news|books|the)|real[- ]time|personal (?:opinions?|"
    r"beliefs?|"
    r"experiences?|preferences?|feelings?|biases|information|data)|(?:any |enough |sufficient |specific |up-to-date |"
    r"current )*(?:information|context|memory of|data|details|knowledge) ?(?:about|on|of|to|for|from|earlier|[.,]|$)|"
    r"(?:a )?"
    r"physical (?:body|form|presence)|opinions|preferences|subjective|consciousness|emotions|(?:a |an )?\w+, (?:as|"
    r"since|"
    r"because) i(?:'m| am) )"
)

_DECLINES = re.compile(
    rf"i {ADVERBS}(?:must|(?:will |'ll )?have to|need to) {ADVERBS}(?:decline|refuse|refrain)|i {ADVERBS}(?:decline|"
    rf"refuse) "
    rf"to {ADVERBS}(?:assist|help|provide|answer|write|create|generate|engage|take part)|i(?:'d| would) (?:rather|"
    rf"prefer) "
    r"not(?: to)? (?:assist|help|provide|answer|write|create|generate|engage|discuss|make)"
)
_RATHER_NOT = re.compile(r"i(?:'d| would) (?:much )?(?:rather|prefer) not\b")
_AGAINST_POLICY = re.compile(
    r"(?:this|that|your|the|such a) (?:request|question|prompt|content|query|task|topic) (?:\w+ )?(?:goes against|"
    r"violates|"
    r"is (?:inappropriate|against|not something|not appropriate|unethical|harmful|illegal)|conflicts|"
    r"involves personal)|"
    r"(?:it|that|this)(?:'s| is| would| would be| is also) (?:not (?:be )?(?:appropriate|ethical|right|"
    r"possible) (?:for me|to "
    r"(?:provide|answer|help|assist|discuss))|inappropriate|unethical|against my|beyond my|outside (?:of )?my|"
    r"impossible for me|not something (?:that )?i)|"
    r"my (?:programming|guidelines|training|design|policies|instructions|ethical guidelines) (?:\w+ )?(?:prevents?|"
    r"do(?:es)? "
    r"not|don't|doesn't|prohibits?|forbids?|restricts?)|(?:assisting|helping|providing|creating|writing|generating)"
    r"(?: \w+){0,6} (?:is|would be) (?:\w+ )?(?:against|unethical|inappropriate|illegal|not something)|"
    r"(?:\w+ ){1,4}(?:is|are) (?:outside|beyond)(?: of)? my (?:capabilities|abilities)|(?:\w+ ){1,6}(?:is|"
    r"are)(?: not)? something "
    r"(?:that )?i(?:'m| am)? (?:not able|unable|can't|cannot|won't|can help|can assist|can do|can provide|can teach)"
)
_LACKS = re.compile(
    rf"{_NOT_HAVE} {_LACKED_BY_MODELS}|i (?:lack|have no) (?:the (?:ability|capability)|ability|access|way of|"
    rf"way to know|"
    r"personal|means of|information|knowledge of)|i (?:don't|do not) (?:retain|store|keep|remember|"
    r"recall) (?:\w+ ){0,3}"
    r"(?:memor|conversation|chats?\b)|i (?:don't|do not) see (?:any|an?|the) (?:\w+ ){1,4}(?:attached|in your|here|"
    r"provided)"
)
_CANNOT_HELP = re.compile(rf"{CANNOT} {ADVERBS}{_REQUEST_VERBS}")
_CANNOT_DO = re.compile(rf"{CANNOT} {ADVERBS}{_OTHER_VERBS}")
_CANNOT_AT_ALL = re.compile(rf"(?:i {ADVERBS}(?:cannot|can't|cant|can not)|{_UNABLE})(?: {_ANY_VERB}|[:.,;!])")
CANNOT_VERB = re.compile(rf"(?:{CANNOT}|i (?:don't|do not)) {ADVERBS}(?P<verb>[a-z]+)")
_NOT_HAVE_AT_ALL = re.compile(rf"{_NOT_HAVE}\b")

_SPEAKS_OF_REQUEST = (_CANNOT_HELP, _AGAINST_POLICY)
_SPEAKS_OF_MODEL = (SPEAKS_AS_AI, _LACKS, _DECLINES)
IN_CLAUSES = (SPEAKS_AS_AI, _CANNOT_HELP, _CANNOT_DO, _CANNOT_AT_ALL, _LACKS)
FORMS: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (
        *_SPEAKS_OF_MODEL,
        *_SPEAKS_OF_REQUEST,
        _RATHER_NOT,
        _CANNOT_DO,
        _CANNOT_AT_ALL,
        _NOT_HAVE_AT_ALL,
    ),
    "voice": (*_SPEAKS_OF_MODEL, *_SPEAKS_OF_REQUEST),
    "given_text": (SPEAKS_AS_AI, _AGAINST_POLICY),
    "ai_voice": _SPEAKS_OF_REQUEST,
    "self": _SPEAKS_OF_REQUEST,
    "letter": (SPEAKS_AS_AI,),
}

OPENERS = re.compile(
    r"(?:[\s,;:.!…*_#>(□—–-]|"
    r"(?:well|oh|hmm+|uh|ah|okay|ok|hello|hi|hey|there|greetings|sure|yes|no|nope|unfortunately|sadly|regrettably|alas|"
    r"however|but|and|so|that|though|although|as such|therefore|thus|at (?:this|the) (?:time|moment|point)|right now|"
    r"currently|please note|note|please understand|please be aware|be aware|keep in mind|please keep in mind|"
    r"to be clear|"
    r"to be honest|honestly|frankly|actually|in general|again|also|additionally|furthermore|moreover|first|"
    r"first of all|i must (?:admit|say|confess)(?: that)?|"
    r"answer|response|assistant|ai|output|final answer|disclaimer|great question|good question|interesting question|"
    r"i see|"
    r"i(?:'m| am) (?:(?:so|very|really|truly|deeply|extremely|terribly) )?(?:sorry|afraid)(?: (?:to (?:say|inform you|"
    r"tell you|hear (?:that|about)[^.!?]{0,80}?(?=[.,!?]|but))|for (?:the|any|your|this)[^.,!?]{0,60}|about that|"
    r"that you[^.!?]{0,60}?(?=,|\bbut)))?|"
    r"(?:my )?(?:sincere(?:st)? |deepest )?apologies(?: for [^.,!?]{0,60})?|(?:so )?sorry(?: for [^.,!?]{0,60}| about "
    r"that)?|i (?:sincerely )?apologi[sz]e(?: for [^.,!?]{0,60}?(?=[.,!?]|but))?|i regret(?: to (?:say|inform you))?|"
    r"(?:thank you|thanks)(?: (?:so much|very much))?(?: for [^.!?,]{0,80})?|that(?:'s| is) (?:a|an) [^.,!?]{0,40}|"
    r"i (?:can )?(?:understand|appreciate|realize|know|acknowledge|get)(?!\w)[^.!?]{0,120}?(?:,|\bbut\b|[.!])|"
    r"i(?:'m| am) not (?:a|an) [^.,!?]{1,40}(?:,|\bbut\b|\band\b|[.!])|"
    r"(?:while|although|though|even though|as much as) (?:i|i'd|i'm|it|this|that|your|the)(?!\w)[^.!?]{0,120}?,|"
    r"i(?:'d| would) (?:love|like|be happy|be glad)(?! not) to[^.!?]{0,60}?(?:,|\bbut\b)|"
    r"i wish i could[^.!?]{0,60}?(?:,|\bbut\b|[.])|"
    r"(?:to|for|without|regarding|due to|because of|since|given|in order to|based on|in|with|under|from|as for|"
    r"when it comes to|"
    r"as of|as) (?!an? )[^.!?,]{1,80},|as a (?:responsible|helpful|professional|matter)[^.!?,]{0,40},)(?!\w))*"
)
WHOLE_REFUSAL = re.compile(
    rf"(?:i(?:'m| am) sorry|sorry|i apologi[sz]e|unfortunately)[,.]?(?: but)? (?:{SPEAKS_AS_AI.pattern}|"
    rf"{_CANNOT_HELP.pattern})"
)
