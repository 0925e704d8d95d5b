"""The forms of refusals, as patterns for English text in lower case with straight apostrophes.

Each of `FORMS` matches at the start of a sentence, after its `OPENERS` ("I'm sorry, but ...").
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.filtering.refusal import impersonal, indirect, sentences, unwilling
from synthetic_instruction_tuner.filtering.refusal.indirect import INPUT, MISSING
from synthetic_instruction_tuner.filtering.refusal.unwilling import (
    ADVERBS,
    DECLINES,
    HABIT,
    RATHER_NOT,
    REFUSES,
    UNWILLING,
    WONT,
    WRITES_NOT,
)

_AI = (
    r"(?:an? )?(?:[\w-]+ ){0,2}?(?:ai\b|a\.i\.|artificial intelligence|language model|llm\b|chatbot|computer program|"
    r"(?:text|machine|virtual|digital)[\w-]* (?:\w+ )?(?:model|program|assistant))"
)
_NO_PERSON = (
    r"(?!-|\w)(?! (?:engineer|researcher|enthusiast|developer|specialist|student|consultant|ethic|expert|scientist|"
    r"company|startup|artist|professional|lead\b|team|strateg|product|architect|lawyer|teacher|professor|practitioner|"
    r"hobby|author|writer|user|expert|analyst|founder|manager|officer|community|tutor|trainer|intern|firm|"
    r"advocate|journalist|reporter|policy|governance|safety researcher|educator|critic|skeptic|investor|executive))"
)
NO_PERSON = re.compile(_NO_PERSON)
_SPEAKER = r"(?=[^.!?]{0,150}(?<!\w)(?:i|i'm|i've|i'll|i'd|my|me)(?!\w))"
SPEAKS_AS_AI = re.compile(
    rf"as {_AI}{_NO_PERSON}{_SPEAKER}|as (?:your |an? )?(?:(?:helpful|virtual|digital|responsible|respectful|honest|"
    rf"ethical|friendly|trusted|and),? )+assistant,? i\b(?=[^.!?]{{0,60}}(?:n't|not\b|unable|declin|refus|lack))|"
    rf"i(?:'?m| am) (?:only |just |merely |simply )*{_AI}{_NO_PERSON}|i(?:'?m| am) (?:only|just|merely) a (?:program|"
    rf"machine|bot)\b|(?:while|although|though|even though) i(?:'?m| am) (?:only |just |merely |"
    rf"simply )*{_AI}{_NO_PERSON}|(?:since|because|given that|being)(?: i(?:'?m| am))? (?:only |"
    rf"just )?{_AI}{_NO_PERSON}"
)
_UNABLE = (
    rf"i(?:'?m| am) {ADVERBS}(?:unable|not able|not allowed|not permitted|not authori[sz]ed|not programmed|"
    rf"not designed|not supposed|"
    r"not capable|not equipped|not willing|not qualified|not trained|not set up|not meant|not in a position|not "
    r"at liberty|not prepared|not inclined|not free|not here|not built|not made|in no position|incapable|"
    r"prohibited|forbidden)(?: of| to| from| with)?"
)
CANNOT = (
    rf"(?:i {ADVERBS}(?:cannot|can't|can not|cant|could not|couldn't|won't|wont|will not|shouldn't|"
    rf"should not|couldn't and wouldn't)(?: be able to)?(?: (?:and|or) (?:will not|won't|shouldn't|should not))?|"
    rf"{_UNABLE}|i(?:'?m| am) {ADVERBS}(?:not comfortable|not going)(?: with| to)?)"
)
_ROLE = r"(?:take on|play|assume|adopt) (?:that|this|such an?) (?:\w+ )?(?:role|part|persona|character)\b"
_REQUEST_VERBS = (
    r"(?:assist(?:ing)?|provid(?:e|ing)|fulfil+(?:ing)?|comply|answer(?:ing)?|generat(?:e|ing)|creat(?:e|ing)|"
    r"writ(?:e|ing)(?! (?:to|back)\b)|compos(?:e|ing)|produc(?:e|ing)|draft(?:ing)?|mak(?:e|ing) up|engag(?:e|ing)|"
    r"discuss(?:ing)?|do (?:that|this|so)\b(?! anymore| any more| again)|help (?!you|me|but|him|her|them|us|"
    r"it)(?:with|in|to|create|write|draft|make|produce|build)|help you (?:with (?:that|this|such|any|\w+ing)|in|do|"
    r"create|write)|help(?: you)?[.,!;]|respond to (?:that|this|your)|process(?:ing)? (?:audio|video|images?|files?|"
    r"this|that)|(?:access|see|view|open|read|hear|watch|play)(?:ing)? (?:(?:the|any|your|this|that|an?|"
    r"external) )?(?:\w+ )?(?:attach|images?|files?|pictures?|photos?|videos?|links?|documents?|audio|urls?|websites?|"
    r"pages?|music|songs?)|browse|role-?play(?:ing)?|pretend(?:ing)?|of (?:any )?(?:help|assistance|service)\b|"
    rf"{_ROLE}|(?:any |further )?"
    r"(?:part|party) (?:of|in|to)\b|be (?:involved|complicit|(?:a )?part)\b|(?:say|tell you|shar(?:e|ing)|"
    r"reveal(?:ing)?|"
    r"giv(?:e|ing)) (?:that|it|this|them|those|these|any)\b|help (?:plan|you plan|someone|anyone|anybody|people))"
)
_OTHER_VERBS = (
    r"(?:help (?!but)|complet|participat|offer|support|share|recommend|translat|summari[sz]|continu|perform|open|view|"
    r"see\b|watch|hear\b|listen|read|predict|tell you|execut|run|send|book|order|call|buy|purchas|check|look|search|"
    r"find|retriev|fetch|make (?!it|sense|up my)|verify|confirm|determin|say\b|speak|comment|promot|condon|endors|"
    r"encourag|facilitat|teach|instruct|disclos|reveal|diagnos|prescrib|express|form|feel|experienc|rememb|recall|"
    r"learn|interact|accommodat|proceed|play|display|show|draw|render|upload|download|attach|connect|contact|guarante|"
    r"propos|review|evaluat|analy[sz]|give|meet|taste|smell|touch|dance|travel|track|monitor|update|set |place|pay|"
    r"transfer|remind|identify|advis|transcrib|edit|visit|pick|choos|reproduc|solv|explain|describ|foresee|estimat|"
    r"control|walk you|guide)"
)
_IDIOM = (
    r"(?:help but|wait\b|say (?:enough|(?:that )?(?:i|it (?:has|was|is))\b)|imagine|believe|stand\b|agree more|"
    r"stress|thank|complain|promise (?:that )?(?:you|"
    r"it)|(?:fix|undo|erase|heal|take away|bring back|make up for) (?:it|this|that|the past|what|your)\b|change (?:the "
    r"past|what)|(?:fully |truly |really |even )?(?:know (?:exactly |fully )?(?:what you|how (?:you|that|hard|it)\b)|"
    r"feel your|understand (?:exactly|how "
    r"you)|imagine)|speak for (?:everyone|all|others)|think of an? (?:better|more|finer|nicer)|count\b|overstate|"
    r"emphasi|resist|deny\b|get enough|live without|remember (?:the last|a time)|begin to|"
    r"make heads|recommend (?:[\w'□]+ ){1,8}?(?:enough|highly)|speak highly)"
)
IDIOMS = re.compile(rf"i (?:\w+ly )?(?:cannot|can't|cant|can not|couldn't|could not) (?:\w+ly )?{_IDIOM}")
_ANY_VERB = rf"(?!{_IDIOM})\w"
_NOT_HAVE = r"i (?:(?:also|currently|simply|actually|just) )?(?:don'?t|do not) (?:\w+ly )?(?:have|possess)"
_LACKED_BY_MODELS = (
    r"(?:the (?:ability|capability|capacity)|access to (?:the internet|real|live|current|external|up|your|any|"
    r"personal|private|that|this|specific|such|information|data|recent|news|books|the)|real[- ]time|"
    r"personal (?:opinions?|beliefs?|experiences?|preferences?|feelings?|biases|information|data)|(?:any |enough |"
    r"sufficient |specific |up-to-date |current )*(?:information|context|memory|records?|recollection|data|"
    r"details|knowledge) ?(?:about|"
    r"on|of|to|for|from|earlier|[.,]|$)|(?:a )?physical (?:body|form|presence)|opinions|preferences|subjective|"
    r"consciousness|emotions|(?:a |an )?\w+, (?:as|since|because) i(?:'?m| am) )"
)

_ONLY = re.compile(r"i can only (?:assist|help|answer|provide|discuss|respond|offer|talk)\b")
_NO = re.compile(
    r"(?:i'?m |i am )?sorry,? (?:but )?no\b[.!]|let'?s (?:talk about|change the (?:subject|topic)|discuss something)"
)
_EXISTS = re.compile(
    r"i (?:exist|live) (?:only|solely|purely) (?:as|in)|there(?:'s| is) no way (?:for me|that i|i)\b|"
    r"i(?:'ve(?: got)?| have(?: got)?| hold|"
    r"possess) no (?:\w+ )?(?:opinions?|preferences?|feelings?|memor(?:y|ies)|experiences?|knowledge|information|"
    r"access|way|ability|body|eyes|ears|senses|favorites?|control (?:over|of)|connection to|record of|insight into|"
    r"means|data|details|stance|side)\b|i have never (?:seen|tasted|felt|smelled|heard|been|had|eaten|visited|met)"
    r"[^.!?]{0,60}\b(?:because|as|since) i(?:'m| am) (?:only |just )?an? (?:\w+ )?(?:ai|program|model|machine)"
)
_REQUEST = r"(?:request|question|prompt|query|instruction|task|topic|content|material)s?"
_NOT_RIGHT = (
    r"(?:(?:simply|also|never|neither|generally|really) )?(?:(?:not |n't )?(?:be )?(?:simply |generally |"
    r"really )?(?:ethical|appropriate|right|possible|responsible|legal|lawful|safe|acceptable|proper|okay|ok|"
    r"constructive|productive|helpful|fair|respectful|professional|advisable|accurate|feasible|my place)|"
    r"inappropriate|unethical|irresponsible|impossible|wrong|illegal|against my \w+)"
)
_AGAINST_POLICY = re.compile(
    rf"(?:this|that|your|the|such an?) {_REQUEST} (?:\w+ )?(?:goes against|violates?|conflicts|involves personal|"
    rf"is (?:inappropriate|against|not something|not appropriate|unethical|harmful|illegal|not (?:an )?ethical))|"
    rf"this is not an? (?:\w+ )?(?:ethical|appropriate) {_REQUEST}|(?:it|that|this)(?:'?s| is| would| isn't|"
    rf" would not| wouldn't| is also| may not| might not)(?: be)? {_NOT_RIGHT}(?:,? (?:or|and|"
    rf"nor) {_NOT_RIGHT})* (?:for me|of me|to (?:provide|answer|help|assist|discuss|give you|generate|"
    r"create|write|share|tell|make fun|compose|promote|spread|encourage))|(?:it|that|this)(?:'?s| is| would "
    r"be)(?: simply| also| currently)? (?:against my|beyond (?:my|"
    r"the scope of my|what i)|outside (?:of )?(?:my|the scope of my|what i)|not (?:within|in) my|"
    rf"not something (?:that )?i|not an? (?:\w+ )?{_REQUEST} (?:that )?i(?:'?m| am| can| will)\b)|"
    r"my (?:programming|guidelines|training|design|policies|instructions|"
    r"ethical guidelines|safety guidelines) (?:\w+ )?(?:prevents?|do(?:es)? not|don't|doesn't|prohibits?|forbids?|"
    r"restricts?)|(?:assisting|helping|providing|creating|writing|generating|promoting|"
    r"encouraging)(?: \w+){0,6} (?:is|would be|goes) (?:\w+ )?(?:against|unethical|inappropriate|illegal|"
    r"irresponsible|wrong|dangerous|harmful|cheating|a crime|not something|not (?:right|ethical|appropriate))|"
    r"(?:\w+ ){1,8}(?:is|are|falls?|lies) (?:outside|"
    r"beyond)(?: of)? (?:my (?:capabilit|abilit|scope|current|expertise|knowledge)|what i(?:'m| am| can))|"
    r"(?:\w+ ){1,6}(?:isn't|aren't|(?:is|are)(?: not)?) something (?:that )?i(?:'?m| am)? (?:not able|able to|unable|"
    r"can't|cannot|won't|will|would|do not|don't|can help|can assist|can do|can provide|can teach)"
)
_REASON = (
    r"(?:against|inappropriate|not appropriate|offensive|harmful|unethical|illegal|disrespect|hurtful|derogatory|"
    r"guidelines|standards|violat|hate\b|hateful|dangerous|copyright|privacy|sensitive|explicit|stereotyp|discriminat|"
    r"misinformation|mislead|harm\b|nonconsensual|my (?:programming|training))"
)
_WITH_REASON = re.compile(
    rf"{CANNOT} {ADVERBS}\w+ (?:\w+ ){{0,4}}(?:copyrighted|explicit|graphic|harmful|hateful|offensive|illegal|violent|"
    rf"sexual|misleading|defamatory|stolen|fake)\b|{CANNOT} {ADVERBS}\w+(?:[^.!?]{{0,140}}?\b(?:your|this|that|"
    rf"such an?|the) {_REQUEST}\b|[^.!?]{{0,120}}?\b(?:as|because|since|that|which|,)\b[^.!?]{{0,90}}?\b{_REASON})"
)
_SORRY = re.compile(
    rf"(?:i(?:'?m| am) (?:\w+ )?(?:sorry|afraid)|sorry|i apologi[sz]e|my apologies),? but (?:it|this|that)(?:'?s| is|"
    rf" would be) {_NOT_RIGHT}"
)
_NOT_POSSIBLE = re.compile(
    rf"(?:it|this) (?:is|would be) (?:not possible|impossible) to [^.!?]{{0,80}}\b(?:because|as|since|"
    rf"without)\b [^.!?]{{0,40}}\b{INPUT}\b"
)
_CONCEDES = re.compile(
    rf"(?:while|although|though|even though|as much as) (?:{CANNOT} {ADVERBS}(?!{_IDIOM})\w|{_NOT_HAVE}\b)"
)
_LACKS = re.compile(
    r"i (?:(?:was|have) not|wasn't|haven't) (?:been )?(?:designed|trained|built|programmed|made) to|"
    rf"{_NOT_HAVE} {_LACKED_BY_MODELS}|i (?:lack|have no) (?:the (?:ability|capability)|ability|access|way of|"
    rf"way to know|"
    r"personal|means of|information|knowledge of)|i (?:don'?t|do not) (?:retain|store|keep|remember|"
    r"recall) (?:\w+ ){0,3}(?:memor|conversation|chats?\b)|i (?:don'?t|do not) see (?:any|an?|"
    r"the) (?:\w+ ){1,4}(?:attached|in your|here|provided)"
)
_IN_A_TEXT = (  # what follows where somebody else says it
    r"(?! (?:right now|more|the (?:phone|door|call)|my\b|back\b|to (?:the|my)\b|him|her\b|them|me\b|anymore|any ?more|"
    r"without|to you\b))"
)
_CANNOT_HELP = re.compile(rf"{CANNOT} {ADVERBS}{_REQUEST_VERBS}")
_CANNOT_DO = re.compile(rf"{CANNOT} {ADVERBS}{_OTHER_VERBS}")
_CANNOT_AT_ALL = re.compile(rf"(?:i {ADVERBS}(?:cannot|can't|cant|can not)|{_UNABLE})(?: {_ANY_VERB}|[:.,;!])")
CANNOT_VERB = re.compile(rf"(?:{CANNOT}|i (?:don'?t|do not)) {ADVERBS}(?P<verb>[a-z]+){_IN_A_TEXT}")
_NOT_HAVE_AT_ALL = re.compile(rf"{_NOT_HAVE}\b")

_WE = re.compile(
    r"we (?:cannot|can't|can not|are unable to|are not able to|do not|don't) (?:complete|fulfil\w*|process|answer|"
    r"provide|discuss|"
    rf"assist|condone|support)[^.!?]{{0,40}}\b(?:your|this|that|such) {_REQUEST}\b"
)
_CANNOT_WRITE = re.compile(rf"{_CANNOT_HELP.pattern}{_IN_A_TEXT}")
_SPEAKS_OF_TEXT = (_CANNOT_WRITE, _AGAINST_POLICY, _WITH_REASON, MISSING, _SORRY, unwilling.NOT_APPROPRIATE)
_SPEAKS_OF_REQUEST = (_CANNOT_HELP, _AGAINST_POLICY, _WITH_REASON, MISSING, _SORRY, unwilling.NOT_APPROPRIATE)
_SPEAKS_OF_MODEL = (SPEAKS_AS_AI, _LACKS, DECLINES, indirect.CUTOFF)
_CANNOT_ASSIST = re.compile(rf"{CANNOT} {ADVERBS}(?:assist|help)(?: you)? (?:with|in) \w+ing\b")
_CANNOT_REQUEST = re.compile(
    rf"{CANNOT} {ADVERBS}(?:assist|fulfil|comply|satisfy|process|answer|provide|complete|"
    rf"discuss)[^.!?]{{0,40}}?\b(?:your|this|that|the|such an?) {_REQUEST}\b|{CANNOT} {ADVERBS}(?:assist|"
    rf"help)(?: you)? with (?:that|this|it|such)\b|{CANNOT} {ADVERBS}{_ROLE}|{CANNOT} [^.!?,]{{0,40}}?(?:write|"
    rf"create|compose|produce|generate|draft|continue) "
    r"(?:this|that|such|your) (?:\w+ )?(?:tweet|story|poem|song|letter|e-?mail|message|text|joke|essay|article|"
    r"review|script|post|speech|piece|content|scene|dialogue|lyrics|one)s?\b"
)
IN_CLAUSES = (
    *(SPEAKS_AS_AI, _CANNOT_HELP, _CANNOT_DO, _CANNOT_AT_ALL, _LACKS, MISSING, _AGAINST_POLICY, REFUSES, HABIT),
    *(impersonal.NOT_MINE, impersonal.AGAINST_RULES, impersonal.IMPOSSIBLE, _EXISTS, impersonal.PASSIVE, UNWILLING),
    *(RATHER_NOT, WRITES_NOT),
    *indirect.INDIRECT,
)
_ADVISES_NOT = re.compile(
    rf"{CANNOT} {ADVERBS}(?:recommend|condone|endorse|advise|encourage|support) (?:it|this|that|doing so|such|any|"
    rf"the use|"
    r"\w+ing)\b(?![^.!?]{0,60} (?:enough|highly))"
)
IN_SHORT_OF_WHO = (indirect.UNAWARE, indirect.UNKNOWN, _NO, indirect.CHANGES_SUBJECT)
IN_SHORT = (*IN_SHORT_OF_WHO, indirect.REDIRECTS)
_KEEPS = re.compile(
    rf"{CANNOT} {ADVERBS}(?:share|reveal|disclose|give you|show you|tell you) (?:that|this|those|these|it|them|my)\b"
)
OF_ITSELF = (
    _CANNOT_REQUEST,
    _AGAINST_POLICY,
    _KEEPS,
)  # the only ones that refuse a question about the assistant itself
FORMS: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (
        *_SPEAKS_OF_MODEL,
        *_SPEAKS_OF_REQUEST,
        *impersonal.OWN_VOICE,
        impersonal.BARE,
        UNWILLING,
        REFUSES,
        HABIT,
        WRITES_NOT,
        *indirect.INDIRECT,
        _WE,
        _CONCEDES,
        _ONLY,
        _EXISTS,
        _NOT_POSSIBLE,
        indirect.NO_PROFESSIONAL,
        RATHER_NOT,
        _CANNOT_DO,
        _CANNOT_AT_ALL,
        _NOT_HAVE_AT_ALL,
    ),
    "voice": (
        *_SPEAKS_OF_MODEL,
        *_SPEAKS_OF_TEXT,
        _CANNOT_REQUEST,
        WRITES_NOT,
        impersonal.NOT_WRITTEN,
        impersonal.NOT_TO_BE,
        impersonal.AGAINST_MY_RULES,
        impersonal.PURPOSE,
        impersonal.PASSIVE,
    ),
    "given_text": (SPEAKS_AS_AI, WRITES_NOT, _AGAINST_POLICY, MISSING, _CANNOT_ASSIST),
    "ai_voice": (*_SPEAKS_OF_TEXT, WRITES_NOT),
    "self": (*OF_ITSELF, SPEAKS_AS_AI, _LACKS),
    "letter": (SPEAKS_AS_AI,),
}
SAID_BY_ROLES = (DECLINES, _CANNOT_WRITE)
"""What a role says where a text is asked for in which somebody refuses."""
UNREAD = (indirect.NO_ACCESS, impersonal.NOT_MINE)
"""Where a text is asked for that is about a link, a picture or a file: the model cannot open it."""
LATE: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (_CANNOT_HELP, DECLINES, _AGAINST_POLICY, UNWILLING, _WITH_REASON, REFUSES, *impersonal.OWN_VOICE),
    "voice": (_CANNOT_REQUEST, DECLINES, _AGAINST_POLICY, _WITH_REASON),
}
IN_LONG_CLAUSES: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (
        *(_CANNOT_REQUEST, DECLINES, _AGAINST_POLICY, _CANNOT_HELP, SPEAKS_AS_AI, _LACKS, REFUSES, WRITES_NOT),
        _ADVISES_NOT,
    ),
    "voice": (_CANNOT_REQUEST, DECLINES, WRITES_NOT, impersonal.NOT_WRITTEN),
}
FLAT = (
    REFUSES,
    DECLINES,
    RATHER_NOT,
    impersonal.AGAINST_RULES,
    impersonal.WE,
    impersonal.PASSIVE,
    impersonal.BARE,
    impersonal.NO_SORRY,
    WONT,
)
"""Forms of a refusal that is the model's will, or its rules, whatever it says besides."""
WEAK = (sentences.HEDGES, indirect.CUTOFF)
"""What anybody may say of a matter, and what ends at a date: with some words more, it is an answer."""

WHOLE_REFUSAL = re.compile(
    rf"(?:i(?:'?m| am) sorry|sorry|i apologi[sz]e|unfortunately)[,.]?(?: but)? (?:{SPEAKS_AS_AI.pattern}|"
    rf"{_CANNOT_HELP.pattern})"
)
