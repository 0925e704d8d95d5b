"""The forms of refusals, as patterns for English text in lower case with straight apostrophes.

Each of `FORMS` matches at the start of a sentence, after its `OPENERS` ("I'm sorry, but ...").
"""

from __future__ import annotations

import re

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
    rf"as {_AI}{_NO_PERSON}{_SPEAKER}|as (?:your |an? )?(?:(?:helpful|virtual|digital|responsible|respectful|honest|"
    rf"ethical|friendly|trusted|and),? )+assistant,? i\b(?=[^.!?]{{0,60}}(?:n't|not\b|unable|declin|refus|lack))|"
    rf"i(?:'?m| am) (?:only |just |merely |simply )*{_AI}{_NO_PERSON}|i(?:'?m| am) (?:only|just|merely) a (?:program|"
    rf"machine|bot)\b|(?:while|although|though|even though) i(?:'?m| am) (?:only |just |merely |"
    rf"simply )*{_AI}{_NO_PERSON}|(?:since|because|given that|being)(?: i(?:'?m| am))? (?:only |"
    rf"just )?{_AI}{_NO_PERSON}"
)
# Each repetition can match a text in one way only: with two, a long row of adverbs takes forever.
ADVERBS = (
    r"(?:(?:simply|just|really|also|personally|currently|unfortunately|regrettably|sadly|still|therefore|honestly|"
    r"actually|directly|physically|in good conscience|in good faith|ethically|legally|knowingly|respectfully|politely|"
    r"accurately|reliably|definitively|specifically|completely|fully|yet|always|ever|possibly|even)(?: ?, ?| {0,2}))*"
)
_UNABLE = (
    rf"i(?:'?m| am) {ADVERBS}(?:unable|not able|not allowed|not permitted|not authori[sz]ed|not programmed|"
    rf"not designed|not supposed|"
    r"not capable|not equipped|not willing|not qualified|not trained|not set up|not meant|not in a position|incapable|"
    r"prohibited|forbidden)(?: of| to| from| with)?"
)
CANNOT = (
    rf"(?:i {ADVERBS}(?:cannot|can't|can not|cant|could not|couldn't|won't|wont|will not|shouldn't|"
    rf"should not)(?: be able to)?(?: and will not)?|{_UNABLE}|i(?:'?m| am) {ADVERBS}(?:not comfortable|"
    rf"not going)(?: with| to)?)"
)
_REQUEST_VERBS = (
    r"(?:assist(?:ing)?|provid(?:e|ing)|fulfil+(?:ing)?|comply|answer(?:ing)?|generat(?:e|ing)|creat(?:e|ing)|"
    r"writ(?:e|ing)(?! (?:to|back)\b)|compos(?:e|ing)|produc(?:e|ing)|draft(?:ing)?|mak(?:e|ing) up|engag(?:e|ing)|"
    r"discuss(?:ing)?|do (?:that|this|so)\b(?! anymore| any more| again)|help (?!you|me|but|him|her|them|us|"
    r"it)(?:with|in|to|create|write|draft|make|produce|build)|help you (?:with (?:that|this|such|any|\w+ing)|in|do|"
    r"create|write)|help(?: you)?[.,!;]|respond to (?:that|this|your)|process(?:ing)? (?:audio|video|images?|files?|"
    r"this|that)|(?:access|see|view|open|read|hear|watch|play)(?:ing)? (?:(?:the|any|your|this|that|an?|"
    r"external) )?(?:\w+ )?(?:attach|images?|files?|pictures?|photos?|videos?|links?|documents?|audio|urls?|websites?|"
    r"pages?|music|songs?)|browse|role-?play(?:ing)?|pretend(?:ing)?)"
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
    r"(?:help but|wait\b|say enough|imagine|believe|stand\b|agree more|stress|thank|complain|promise (?:that )?(?:you|"
    r"it)|count\b|overstate|emphasi|resist|deny\b|get enough|live without|remember (?:the last|a time)|begin to|"
    r"make heads|recommend (?:\w+ ){1,4}(?:enough|highly)|speak highly)"
)
IDIOMS = re.compile(rf"i (?:\w+ly )?(?:cannot|can't|cant|can not|couldn't|could not) (?:\w+ly )?{_IDIOM}")
_ANY_VERB = rf"(?!{_IDIOM})\w"
_NOT_HAVE = r"i (?:(?:also|currently|simply|actually|just) )?(?:don'?t|do not) (?:\w+ly )?(?:have|possess)"
_LACKED_BY_MODELS = (
    r"(?:the (?:ability|capability|capacity)|access to (?:the internet|real|live|current|external|up|your|any|"
    r"personal|private|that|this|specific|such|information|data|recent|news|books|the)|real[- ]time|"
    r"personal (?:opinions?|beliefs?|experiences?|preferences?|feelings?|biases|information|data)|(?:any |enough |"
    r"sufficient |specific |up-to-date |current )*(?:information|context|memory of|data|details|knowledge) ?(?:about|"
    r"on|of|to|for|from|earlier|[.,]|$)|(?:a )?physical (?:body|form|presence)|opinions|preferences|subjective|"
    r"consciousness|emotions|(?:a |an )?\w+, (?:as|since|because) i(?:'?m| am) )"
)

_DECLINES = re.compile(
    rf"i {ADVERBS}(?:must|(?:will |'ll )?have to|need to) {ADVERBS}(?:decline|refuse|refrain)(?! (?:your|the|this|"
    rf"that|an?) (?:\w+ )?(?:offer|invitation|position|proposal|gift|job|honor))|i {ADVERBS}(?:decline|"
    rf"refuse)(?: to {ADVERBS}(?:assist|help|provide|answer|write|create|generate|engage|take part|mock|mak|discuss|"
    rf"respond|comply|participate|share|give|fulfil|recommend|do|contin|support)|[.])|"
    r"i(?:'d| would) (?:rather|prefer) not(?: to)? (?:assist|help|provide|answer|write|create|generate|engage|discuss|"
    r"make)|i(?:'ll| will) (?:have to )?(?:pass on this|refrain from)|"
    rf"i(?:'?m| am) going to (?:have to )?(?:pass|decline)|i {ADVERBS}(?:do not|don't) (?:condone|endorse|generate|"
    rf"create|produce) (?:\w+ )*(?:content|material|violence|discriminat|hate|harm|illegal|such)"
)
_ONLY = re.compile(r"i can only (?:assist|help|answer|provide|discuss|respond|offer|talk)\b")
_NO = re.compile(
    r"(?:i'?m |i am )?sorry,? (?:but )?no\b[.!]|let'?s (?:talk about|change the (?:subject|topic)|discuss something)"
)
_EXISTS = re.compile(
    r"i (?:exist|live) (?:only|solely|purely) (?:as|in)|there(?:'s| is) no way (?:for me|that i|i)\b|i (?:have|hold|"
    r"possess) no (?:\w+ )?(?:opinions?|preferences?|feelings?|memor(?:y|ies)|experiences?|knowledge|information|"
    r"access|way|ability|body|eyes|ears|senses|favorites?)\b"
)
_RATHER_NOT = re.compile(r"i(?:'d| would) (?:much )?(?:rather|prefer) not\b")
_REQUEST = r"(?:request|question|prompt|query|instruction|task|topic|content|material)s?"
_NOT_RIGHT = (
    r"(?:(?:simply|also|never|neither|generally|really) )?(?:(?:not |n't )?(?:be )?(?:simply |generally |"
    r"really )?(?:ethical|appropriate|right|possible|responsible|legal|lawful|safe|acceptable|proper|okay|ok|"
    r"constructive|productive|helpful|fair|respectful|professional|advisable|accurate|feasible|my place)|"
    r"inappropriate|unethical|irresponsible|impossible|wrong|illegal|against my \w+)"
)
_INPUT = (
    r"(?:image|picture|photo|screenshot|file|attachment|document|link|text|article|essay|code|video|audio|recording|"
    r"table|list|passage|pdf|draft|paragraph|sentence|context|input|spreadsheet|report|message|email|lyrics|"
    r"transcript|resume|data ?set)s?"
)
_AGAINST_POLICY = re.compile(
    rf"(?:this|that|your|the|such an?) {_REQUEST} (?:\w+ )?(?:goes against|violates?|conflicts|involves personal|"
    rf"is (?:inappropriate|against|not something|not appropriate|unethical|harmful|illegal|not (?:an )?ethical))|"
    rf"this is not an? (?:\w+ )?(?:ethical|appropriate) {_REQUEST}|(?:it|that|this)(?:'?s| is| would| isn't|"
    rf" would not| wouldn't| is also| may not| might not)(?: be)? {_NOT_RIGHT}(?:,? (?:or|and|"
    rf"nor) {_NOT_RIGHT})* (?:for me|of me|to (?:provide|answer|help|assist|discuss|give you|generate|"
    r"create))|(?:it|that|this)(?:'?s| is| would be)(?: simply| also| currently)? (?:against my|beyond (?:my|"
    r"the scope of my|what i)|outside (?:of )?(?:my|the scope of my|what i)|not (?:within|in) my|"
    rf"not something (?:that )?i|not an? (?:\w+ )?{_REQUEST} (?:that )?i(?:'?m| am| can| will)\b)|"
    r"my (?:programming|guidelines|training|design|policies|instructions|"
    r"ethical guidelines|safety guidelines) (?:\w+ )?(?:prevents?|do(?:es)? not|don't|doesn't|prohibits?|forbids?|"
    r"restricts?)|(?:assisting|helping|providing|creating|writing|generating|promoting|"
    r"encouraging)(?: \w+){0,6} (?:is|would be|goes) (?:\w+ )?(?:against|unethical|inappropriate|illegal|"
    r"irresponsible|not something|not (?:right|ethical|appropriate))|(?:\w+ ){1,8}(?:is|are|falls?|lies) (?:outside|"
    r"beyond)(?: of)? (?:my (?:capabilit|abilit|scope|current|expertise|knowledge)|what i(?:'m| am| can))|"
    r"(?:\w+ ){1,6}(?:isn't|aren't|(?:is|are)(?: not)?) something (?:that )?i(?:'?m| am)? (?:not able|able to|unable|"
    r"can't|cannot|won't|will|would|do not|don't|can help|can assist|can do|can provide|can teach)"
)
_UNWILLING = re.compile(
    rf"i {ADVERBS}(?:don't|do not|wouldn't|would not) {ADVERBS}(?:feel (?:right |at all )?(?:comfortable|right)|"
    rf"think (?:that )?(?:it(?:'s| is| would be)|i (?:can|could|should)) (?:\w+ ){{0,2}}(?:ethical|right|appropriate|"
    r"constructive|helpful|responsible|respectful|fair|wise to (?:label|rank|name)|to make fun|help with|write|answer|"
    r"provide|create)|condone|endorse|promote|encourage or|engage in|participate in|take part in|generate|provide|"
    r"create|answer (?:this|that|questions|such)|assist (?:with|in)|make predictions|offer (?:medical|legal|financial|"
    r"personal|"
    rf"advice|instructions))|i {ADVERBS}(?:will|must|should|would) (?:not|never) {ADVERBS}(?:provide|"
    rf"help (?:you )?with|"
    r"assist|write|create|generate|answer|give you|participate|engage|be able|be (?:a )?part|take part)|i(?:'?m|"
    r" am) (?:really |simply )?not (?:going|willing|prepared|inclined|comfortable)\b|i(?:'?m| am) uncomfortable"
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
_MISSING = re.compile(
    r"(?:there (?:is|are|was|were|(?:seems?|appears?) to be|does not seem to be|"
    r"doesn't (?:seem|appear) to be)|i (?:don't|do not|didn't|did not|"
    r"can't|cannot) (?:actually )?(?:see|find|receive|notice)) (?:no|any|an?|the|your)(?: \w+){0,2} "
    rf"{_INPUT}(?: \w+){{0,2}} (?:provided|attached|included|given|uploaded|shared|supplied|below|above|here\b|"
    rf"in (?:your|the) (?:message|question|prompt|request)|to (?:summarize|analyze|edit|review|work with|describe|"
    rf"translate)|with your)|i (?:don't|do not|didn't|did not) (?:actually )?(?:see|receive) (?:any|an?|the|"
    rf"your) (?:\w+ )?{_INPUT}\b|"
    r"(?:(?:it )?(?:seems|looks|appears)(?: like| as if| that)? )?(?:you (?:(?:may|might|"
    r"seem to) (?:have )?)?(?:forgot(?:ten)? to|didn't|did not|haven't|have not) (?:include|attach|provide|paste|"
    r"share|upload|specify|give|mention) (?:me )?(?:the|your|any|an?|which|what) "
    rf"(?:\w+ ){{0,2}}(?:{_INPUT}\b|details|information|you)|no (?:\w+ ){{0,2}}{_INPUT} (?:came through|(?:was|were|"
    rf"has been|have been|is|are) (?:included|attached|provided|uploaded|given|shared))|(?:your|"
    rf"the) (?:\w+ ){{0,2}}{_INPUT} (?:didn't come|did not come|(?:wasn't|was not|weren't|were not|has not been|"
    rf"have not been) (?:included|attached|provided|uploaded|given|shared)|(?:is|are) missing from your|got cut off)|"
    r"(?:your|the) (?:message|question|request|prompt|input) (?:is|was|seems|appears|may be|might be|"
    r"got)(?: to be)? (?:incomplete|cut off|missing|unclear|empty|blank))"
)
_SORRY = re.compile(
    rf"(?:i(?:'?m| am) (?:\w+ )?(?:sorry|afraid)|sorry|i apologi[sz]e|my apologies),? but (?:it|this|that)(?:'?s| is|"
    rf" would be) {_NOT_RIGHT}"
)
_NOT_POSSIBLE = re.compile(
    rf"(?:it|this) (?:is|would be) (?:not possible|impossible) to [^.!?]{{0,80}}\b(?:because|as|since|"
    rf"without)\b [^.!?]{{0,40}}\b{_INPUT}\b"
)
LECTURE = re.compile(
    r"(?:(?:\w+ing|such)\b[^.!?]{0,100}|it|this|that) (?:is|are|would be) (?:not only |both |\w+ly )*(?:illegal|"
    r"unethical|against the law|never (?:acceptable|okay|ok|justified|right)|not (?:acceptable|ethical|okay|right|"
    r"legal|appropriate)|an? (?:serious |federal )?(?:crime|criminal|offen[sc]e)|harmful and|morally wrong|immoral|"
    r"inappropriate|fraud)"
)
_NO_PROFESSIONAL = re.compile(
    r"i(?:'?m| am) not an? (?:\w+ ){0,3}(?:doctor|physician|lawyer|attorney|veterinarian|vet|therapist|advis[eo]r|"
    r"professional|nutritionist|dietitian|pharmacist|accountant)\b"
)
_NOT_APPROPRIATE = re.compile(
    rf"i {ADVERBS}(?:don't|do not) (?:think|believe|feel) (?:that )?(?:it(?:'s| is| would be)|this is|"
    rf"that is) (?:\w+ ){{0,2}}"
    r"(?:ethical|right|appropriate|responsible|respectful|okay|fair) (?:for me|to)\b"
)
_CONCEDES = re.compile(
    rf"(?:while|although|though|even though|as much as) (?:{CANNOT} {ADVERBS}(?!{_IDIOM})\w|{_NOT_HAVE}\b)"
)
_CUTOFF = re.compile(
    r"(?:as )?my (?:knowledge|training(?: data)?|information|data|last update)\b[^.!?]{0,30}\b(?:ends?|ended|cut-?off|"
    r"cut off|limited to|only goes|was in|is limited)\b"
)
_UNKNOWN = re.compile(
    r"i(?: am|'?m)? ?(?:(?:really |simply |just |honestly )?(?:don't|do not) know|have no idea|do not have an answer|"
    r"don't have an answer|have no answer|(?:don't|do not) understand (?:your|the|this|what))"
)
_REDIRECTS = re.compile(
    r"(?:i(?:'d| would)? (?:strongly |highly |kindly )*(?:suggest|recommend|advise|"
    r"encourage)(?: that)?(?: you)?(?: to)? |(?:you should |you may want to |please |it (?:is|"
    r"would be) best to ))(?:consult|seek|speak|talk|contact|reach|see(?:k|ing)?\b|visit|refer|check|"
    r"ask)(?:ing)?\b[^.!?]*\b(?:lawyer|attorney|doctor|physician|professional|therapist|counsel\w+|advisor|expert|"
    r"specialist|accountant|website|customer service|support team|authorit\w+)"
)
_LACKS = re.compile(
    r"i (?:(?:was|have) not|wasn't|haven't) (?:been )?(?:designed|trained|built|programmed|made) to|"
    rf"{_NOT_HAVE} {_LACKED_BY_MODELS}|i (?:lack|have no) (?:the (?:ability|capability)|ability|access|way of|"
    rf"way to know|"
    r"personal|means of|information|knowledge of)|i (?:don'?t|do not) (?:retain|store|keep|remember|"
    r"recall) (?:\w+ ){0,3}(?:memor|conversation|chats?\b)|i (?:don'?t|do not) see (?:any|an?|"
    r"the) (?:\w+ ){1,4}(?:attached|in your|here|provided)"
)
_CANNOT_HELP = re.compile(rf"{CANNOT} {ADVERBS}{_REQUEST_VERBS}")
_CANNOT_DO = re.compile(rf"{CANNOT} {ADVERBS}{_OTHER_VERBS}")
_CANNOT_AT_ALL = re.compile(rf"(?:i {ADVERBS}(?:cannot|can't|cant|can not)|{_UNABLE})(?: {_ANY_VERB}|[:.,;!])")
CANNOT_VERB = re.compile(rf"(?:{CANNOT}|i (?:don'?t|do not)) {ADVERBS}(?P<verb>[a-z]+)")
_NOT_HAVE_AT_ALL = re.compile(rf"{_NOT_HAVE}\b")

_WE = re.compile(
    r"we (?:cannot|can't|can not|are unable to|are not able to|do not|don't) (?:complete|fulfil\w*|process|answer|"
    r"provide|discuss|"
    rf"assist|condone|support)[^.!?]{{0,40}}\b(?:your|this|that|such) {_REQUEST}\b"
)
_SPEAKS_OF_REQUEST = (_CANNOT_HELP, _AGAINST_POLICY, _WITH_REASON, _MISSING, _SORRY, _NOT_APPROPRIATE)
_SPEAKS_OF_MODEL = (SPEAKS_AS_AI, _LACKS, _DECLINES, _CUTOFF)
_CANNOT_ASSIST = re.compile(rf"{CANNOT} {ADVERBS}(?:assist|help)(?: you)? (?:with|in) \w+ing\b")
_CANNOT_REQUEST = re.compile(
    rf"{CANNOT} {ADVERBS}(?:assist|fulfil|comply|satisfy|process|answer|provide|complete|"
    rf"discuss)[^.!?]{{0,40}}?\b(?:your|this|that|the|such an?) {_REQUEST}\b|{CANNOT} {ADVERBS}(?:assist|"
    rf"help)(?: you)? with (?:that|this)\b"
)
IN_CLAUSES = (SPEAKS_AS_AI, _CANNOT_HELP, _CANNOT_DO, _CANNOT_AT_ALL, _LACKS, _MISSING, _AGAINST_POLICY)
IN_SHORT = (_UNKNOWN, _REDIRECTS, _NO)
OF_ITSELF = (_CANNOT_REQUEST, _AGAINST_POLICY)  # the only ones that refuse a question about the assistant itself
FORMS: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (
        *_SPEAKS_OF_MODEL,
        *_SPEAKS_OF_REQUEST,
        _UNWILLING,
        _WE,
        _CONCEDES,
        _ONLY,
        _EXISTS,
        _NOT_POSSIBLE,
        _NO_PROFESSIONAL,
        _RATHER_NOT,
        _CANNOT_DO,
        _CANNOT_AT_ALL,
        _NOT_HAVE_AT_ALL,
    ),
    "voice": (*_SPEAKS_OF_MODEL, *_SPEAKS_OF_REQUEST),
    "given_text": (SPEAKS_AS_AI, _AGAINST_POLICY, _MISSING, _CANNOT_ASSIST),
    "ai_voice": _SPEAKS_OF_REQUEST,
    "self": (*OF_ITSELF, SPEAKS_AS_AI, _LACKS),
    "letter": (SPEAKS_AS_AI,),
}
LATE: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (_CANNOT_HELP, _DECLINES, _AGAINST_POLICY, _UNWILLING, _WITH_REASON),
    "voice": (_CANNOT_REQUEST, _DECLINES, _AGAINST_POLICY, _WITH_REASON),
}
IN_LONG_CLAUSES: dict[str, tuple[re.Pattern[str], ...]] = {
    "plain": (_CANNOT_REQUEST, _DECLINES, _AGAINST_POLICY, _CANNOT_HELP, SPEAKS_AS_AI, _LACKS),
    "voice": (_CANNOT_REQUEST, _DECLINES),
}

WHOLE_REFUSAL = re.compile(
    rf"(?:i(?:'?m| am) sorry|sorry|i apologi[sz]e|unfortunately)[,.]?(?: but)? (?:{SPEAKS_AS_AI.pattern}|"
    rf"{_CANNOT_HELP.pattern})"
)
