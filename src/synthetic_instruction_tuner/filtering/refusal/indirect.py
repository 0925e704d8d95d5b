"""Refusals in a roundabout way: what is best left, what nobody will get, what the model lacks, what is missing.

"It's best that I don't answer." "You'll have to look elsewhere." "That data isn't available to me." Each matches at the
start of a sentence, as the forms in `patterns` do.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.filtering.refusal.unwilling import ADVERBS

_DO = (
    r"(?:assist|help|provid|fulfil|comply|answer|generat|creat|writ|engag|discuss|respond|shar|giv|offer|tell|say|"
    r"support|participat|explain|teach|comment|weigh|speculat|guess|judg|recommend|do (?:this|that|it|so)|go "
    r"(?:there|"
    r"into|along)|encourag|advis|make|joke|speak|confirm|reveal|disclos)"
)
BEST_NOT = re.compile(
    r"i(?:'m| am|'ll| will)(?: going to| gonna)? (?:leav(?:e|ing) (?:that|this|it)(?: one)? (?:alone|unanswered|"
    r"there|be)|not (?:be )?"
    r"(?:touching|falling for|biting|playing along|taking the bait))|i(?:'ve| have) been (?:\w+ly )?(?:instructed|"
    r"told|asked|"
    r"programmed|designed|trained|configured) (?:not|never) to|my (?:creators|developers|makers|designers|"
    r"instructions) (?:have |"
    r"has )?(?:\w+ly )?(?:asked|told|instructed|designed|trained|programmed|require) me (?:not|never) to|(?:it|"
    r"this|that)(?:'s| is)"
    r" (?:not (?:really )?my place to|beyond me[.,!])|i (?:won't|will not|can't|cannot) (?:be )?(?:go(?:ing)?|"
    r"get(?:ting)?) into (?:any |"
    r"that|this|detail|specifics|such)|i (?:have|need) to be (?:very )?careful\b[^.!?]{0,30} not (?:give|provide|"
    r"share|go)|"
    r"(?:i (?:think|believe|feel|find) (?:that )?)?(?:it(?:'s| is| would be|'d be)|the) (?:probably |really |just "
    r")*(?:best|"
    rf"better|wise|wiser|safer|safest|preferable) (?:(?:that|if) i (?:not|don't|do not|didn't|stay|avoid|refrain|"
    rf"leave)|"
    rf"for me (?:not|to (?:avoid|refrain|decline|stay|leave))|(?:if we )?(?:don't|do not|didn't) {_DO}|not to {_DO})|"
    rf"i(?:'d| had| would) better not {_DO}|i(?:'m| am)? {ADVERBS}choos(?:e|ing) not to {_DO}|i (?:have "
    rf")?(?:decided|opted|"
    rf"chosen) not to {_DO}|i can neither {_DO}|(?:neither|nor) (?:can|will|would|could) i {_DO}"
)
NO_WAY = re.compile(
    rf"(?:under no circumstances|in no way|at no point|on no account|in no case|never|no way|by no means|nowhere) "
    rf"(?:will|"
    rf"can|would|could|should|do|shall|am) i (?:be )?(?:able to |willing to |going to )?{_DO}|there(?:'s| is) "
    rf"(?:nothing|"
    r"little|no (?:help|answer|advice|information|guidance)|not much|none) (?:more |here |else )?(?:that )?i(?:'m|"
    r" am| can|"
    r" could|'ll| will| would)\b(?! (?:add|think|find|see|regret|love|like|like|enjoy))|nothing (?:about|in) "
    r"(?:this|that|"
    r"your) (?:request|question|prompt)|(?:my|the) answer (?:is|will be|has to be|must be|remains) (?:a )?(?:firm "
    r"|clear |"
    r"simple |still )?no(?=[.:,;!])(?=[^?]{0,120}\bi\b|[.!]?$)|no (?:instructions?|information|details?|advice|help|"
    r"guidance|answers?|assistance|content|recommendations?) (?:\w+ ){0,4}?(?:will|can|may|shall) be (?:given|"
    r"provided|"
    r"shared|offered|generated|made)|i(?:'ll| can| could| would|'d|'m| am| will)\b(?! not)[^.!?]{0,70}, (?:but|just|"
    r"though) not (?:with|for|about|in|to|how|on) (?:this|that|it|those|such|anything|how|helping|ways|making|"
    r"building|"
    r"writing)\b|i (?:won't|will not|shan't)(?: do (?:it|that|this|so))?[.!]|i keep (?:such|this|that|these|"
    r"those) (?:\w+ )?"
    r"(?:to myself|private|confidential)"
)
ELSEWHERE = re.compile(
    r"you(?:'ll| will)? (?:have|need) to (?:look|ask|go|turn|search|find (?:it|that|this|someone)) elsewhere|"
    r"you(?:'ll| will)"
    r" (?:not|have to|need to) (?:find (?:that|this|it|such) (?:here|elsewhere)|do (?:that|this) without (?:me|"
    r"my))|you won't"
    r" (?:find|get|hear|see) (?:that|this|it|such \w+) (?:here|from)|(?:you (?:should|must|shouldn't|cannot|"
    r"can't) (?:not )?|"
    r"please (?:don't|do not|refrain from|stop|avoid) )ask(?:ing)? (?:me |for |such |this |that |these )|let's "
    r"not (?:go|do|"
    r"talk|discuss|continue|pursue|joke)|(?:we|i) (?:should not|shouldn't|should avoid|must not) (?:go(?:ing)? "
    r"(?:there|down"
    r" th)|discuss|talk(?:ing)? about|joke|pursue)"
)
CHANGES_SUBJECT = re.compile(
    r"(?:could|can|may|shall|should|how about|perhaps|maybe) we (?:could |can |should )?(?:talk|chat|discuss|"
    r"speak|change|"
    r"move|switch)\b[^.!?]{0,20} (?:something else|another|a different|the (?:subject|topic)|on to)|i(?:'d)? "
    r"(?:suggest|"
    r"propose|prefer|would like)(?: that| to)? (?:we )?(?:change|switch|talk|move|discuss|focus)[^.!?]{0,20} "
    r"(?:the (?:subject|"
    r"topic)|something else|another|a different|instead)"
)
LACKS = re.compile(
    r"i (?:haven't|have not|wasn't|was not|was never|am not|'m not|have never been|haven't been|have not been)(?: "
    r"been)? "
    r"(?:given (?:any )?(?:access|permission|the)|connected to|(?:designed|trained|built|programmed|made|intended|"
    r"meant) "
    r"(?:to|for)|equipped|(?:the right|the best|a suitable|a good) (?:tool|place|source|person|one|resource|"
    r"choice|fit) (?:for|"
    r"to)|in the (?:business|habit) of)|i haven't got (?:the|any|access|eyes|ears|a body)|i lack (?:the |any |a "
    r")?(?:\w+ )?"
    r"(?:tools?|means|skills?|senses?|context|data|permission|authority|training|expertise|credentials|access|"
    r"information)|"
    r"i(?:'m| am) (?:\w+ly )?(?:restricted|barred|prevented|banned|blocked|precluded|disallowed) (?:from|by)|"
    r"i(?:'m| am) "
    r"(?:\w+ly )?(?:bound by|constrained by|limited to (?:text|generating|providing|my)|restricted to (?:text|"
    r"my))|i only "
    r"(?:work with|handle|process|deal with|understand|have|see) (?:text|words|language)|i have no (?:real-time|"
    r"live|current|"
    r"up-to-date|permission|authority|sense|first-?hand|direct|personal)\b|i (?:don't|do not) have (?:the "
    r")?(?:permission|"
    r"authority|authori[sz]ation|clearance|credentials|rights?) (?:to|for)|(?:no [\w -]{1,40}(?:is|are)|[\w "
    r"-]{1,40}(?:isn't|"
    r"is not|aren't|are not|is un|are un)) ?(?:currently |yet )?(?:available|accessible|known|visible|reachable) "
    r"to me\b"
)
RULES_FORBID = re.compile(
    r"(?:due to|because of|under|per|according to|by) (?:my|our) (?:\w+ ){0,2}(?:polic|guideline|rule)\w*|(?:my|"
    r"our|openai's|"
    r"anthropic's|google's|meta's|microsoft's|alibaba's)(?: \w+){0,3}? (?:polic(?:y|ies)|guidelines?|programming|"
    r"rules?|values|"
    r"principles?|instructions|training|design|capabilit(?:y|ies)|abilit(?:y|ies)|functionality|skills|"
    r"limitations|creators|"
    r"developers|settings|restrictions|ethics|standards|code)(?: \w+){0,2}? (?:prevents?|prohibits?|forbids?|"
    r"restricts?|"
    r"keeps?|stops?|bars?|(?:do(?:es)? not|don't|doesn't|won't|will not) (?:let|allow|permit|include|extend|cover|"
    r"enable|"
    r"support)|requires? (?:me|that i)|means? (?:that )?i|disallows?|rules? out)|(?:this|that|it) (?:clearly |"
    r"would |really )*"
    r"cross(?:es)? (?:a|the|my|every|an ethical|an?) (?:\w+ )?line|[\w', -]{1,80}? exceeds? (?:my|what i|the "
    r"(?:scope|limits) of"
    r" my)|(?:this|that|it)(?:'s| is) (?:something|one|information|a \w+|an? \w+ \w+|where|what|the kind of \w+|"
    r"the sort of"
    r" \w+) (?:that |which )?i(?:'d rather|'m| am| do| can| will| could| would| wo| ca)?(?:n't| not|not)\b(?! "
    r"(?:know|understand|expect|like|"
    r"forget|think|recogn|see\b))"
)
ELLIPSIS = re.compile(
    r"i (?!(?:was|were|had|did)\b)[^.!?;]{2,120}? (?:and|but|so|therefore) (?:therefore |thus |hence |so |also "
    r")?(?:will not|won't|"
    rf"cannot|can't|am (?:unable|not (?:able|willing|going)) to|refuse to|must decline to|do not|don't) "
    rf"{ADVERBS}(?:be )?{_DO}\w* "
    r"(?:(?:you )?(?:with|to|in|on|for|any) )?(?:this|that|it|such|you|any|anyone|anything|instructions|guidance|"
    r"advice|content|"
    r"(?:\w+ )?(?:assistance|support|information|help))\b"
)
INPUT = (
    r"(?:image|picture|photo|screenshot|file|attachment|document|link|text|article|essay|code|video|audio|recording|"
    r"table|list|passage|pdf|draft|paragraph|sentence|context|input|spreadsheet|report|message|email|lyrics|"
    r"transcript|resume|data ?set)s?"
)
MISSING = re.compile(
    r"(?:there (?:is|are|was|were|(?:seems?|appears?) to be|does not seem to be|"
    r"doesn't (?:seem|appear) to be)|i (?:don't|do not|didn't|did not|"
    r"can't|cannot) (?:actually )?(?:see|find|receive|notice)) (?:no|any|an?|the|your)(?: \w+){0,2} "
    rf"{INPUT}(?: \w+){{0,2}} (?:provided|attached|included|given|uploaded|shared|supplied|below|above|here\b|"
    rf"in (?:your|the) (?:message|question|prompt|request)|to (?:summari[sz]e|analy[sz]e|edit|review|work with|"
    rf"describe|"
    rf"translate|continue|complete|correct|proofread|rewrite|rephrase|paraphrase|fix|classify|read|check|"
    rf"shorten|expand|"
    rf"convert|extract|transcribe|watch|listen)|with your)|i (?:don't|do not|didn't|"
    rf"did not) (?:actually )?(?:see|receive) (?:any|an?|the|"
    rf"your) (?:\w+ )?{INPUT}\b|"
    r"(?:(?:it )?(?:seems|looks|appears)(?: like| as if| that)? )?(?:you (?:(?:may|might|"
    r"seem to) (?:have )?)?(?:forgot(?:ten)? to|didn't|did not|haven't|have not) (?:actually |yet )?(?:included?|"
    r"attach(?:ed)?|"
    r"provided?|pasted?|shared?|upload(?:ed)?|specif(?:y|ied)|give|given|mention(?:ed)?|sent|told) (?:me )?(?:the|"
    r"your|any|an?|which|what) "
    rf"(?:\w+ ){{0,2}}(?:{INPUT}\b|details|information|you)|no (?:\w+ ){{0,2}}{INPUT} (?:came through|(?:was|were|"
    rf"has been|have been|is|are) (?:included|attached|provided|uploaded|given|shared))|(?:your|"
    rf"the) (?:\w+ ){{0,2}}{INPUT} (?:(?:didn't|did not|hasn't|has not|haven't|have not|never|"
    rf"doesn't seem to have) (?:come|came|arrived?|reach(?:ed)?|load(?:ed)?|attach(?:ed)?|upload(?:ed)?)|"
    rf"(?:wasn't|was not|weren't|were not|has not been|"
    rf"have not been) (?:included|attached|provided|uploaded|given|shared)|(?:is|are) missing from your|got cut off)|"
    r"(?:your|the) (?:message|question|request|prompt|input) (?:is|was|seems|appears|may be|might be|"
    r"got)(?: to be)? (?:incomplete|cut off|missing|unclear|empty|blank))"
)
NO_ACCESS = re.compile(
    rf"i(?:'m| am)? {ADVERBS}(?:cannot|can't|can not|cant|unable to|not able to|couldn't|could not|"
    rf"don't have (?:the ability|"
    rf"any way|a way) to|have no way (?:to|of)|do not have (?:the ability|any way|a way) to) {ADVERBS}(?:open|"
    rf"access|view|see|"
    rf"look at|read|visit|browse|follow|click|fetch|load|hear|listen|watch|play|process|download|receive|display)\w*"
    rf"(?: (?:to|on|the|your|any|this|that|these|such|external|live|web|into)){{0,3}} (?:\w+ )?(?:links?|urls?|"
    rf"websites?|"
    rf"web ?pages?|pages?|internet|web|images?|photos?|pictures?|screenshots?|files?|pdfs?|attachments?|documents?|"
    rf"videos?|audio|sound|recordings?|voice|messages?)\b"
)
"""What the model cannot open, where the request is about a link, a picture or a file."""
"""What the model is to work on, and that it has none of it: no image, no file, no text."""
CUTOFF = re.compile(
    r"(?:as )?my (?:knowledge|training(?: data)?|information|data|last update)\b[^.!?]{0,30}\b(?:ends?|ended|"
    r"cut-?off|"
    r"cut off|limited to|only goes|was in|is limited)\b"
)
UNKNOWN = re.compile(
    r"i(?: am|'?m)? ?(?:(?:really |simply |just |honestly )?(?:don't|do not) know|have no idea|do not have an answer|"
    r"don't have an answer|have no answer|(?:don't|do not) understand (?:your|the|this|what))"
)
UNAWARE = re.compile(
    r"i(?:'m| am) (?:\w+ly )?(?:not (?:\w+ly )?(?:aware of|familiar with)|unaware of|unfamiliar with)|i "
    r"(?:couldn't|could not|can't|cannot)"
    r" find any (?:\w+ )?(?:information|record|data|mention|details)"
)
REDIRECTS = re.compile(
    r"(?:i(?:'d| would)? (?:strongly |highly |kindly )*(?:suggest|recommend|advise|"
    r"encourage)(?: that)?(?: you)?(?: to)? |(?:you should |you may want to |please |it (?:is|"
    r"would be) best to ))(?:consult|seek|speak|talk|contact|reach|see(?:k|ing)?\b|visit|refer|check|"
    r"ask)(?:ing)?\b[^.!?]*\b(?:lawyer|attorney|doctor|physician|professional|therapist|counsel\w+|advisor|expert|"
    r"specialist|accountant|website|customer service|support team|authorit\w+)"
)
NO_PROFESSIONAL = re.compile(
    r"i(?:'?m| am) not an? (?:\w+ ){0,3}(?:doctor|physician|lawyer|attorney|veterinarian|vet|therapist|advis[eo]r|"
    r"professional|nutritionist|dietitian|pharmacist|accountant)\b"
)
ROLE = re.compile(
    r"i(?:'?m| am) (?:just |only |merely )?(?:an? |your )(?:[\w-]+ ){0,4}(?:assistant|ai|model|bot|"
    r"program)\b[^.!?]{0,40}?,? "
    rf"(?:and|so|therefore|thus)(?: i)? {ADVERBS}(?:cannot|can't|do not|don't|won't|will not|am (?:not|unable)|must "
    rf"not)\b"
)
INDIRECT = (ROLE, ELLIPSIS, BEST_NOT, NO_WAY, ELSEWHERE, LACKS, RULES_FORBID)
