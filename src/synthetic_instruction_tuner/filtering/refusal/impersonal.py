"""Refusals whose subject is not "I": the request, a rule, a line that is drawn, we, the assistant, or nobody.

"This isn't something I'll help with." "That would violate my policies." "Such content cannot be generated." "Nope,
can't do that." Each matches at the start of a sentence, as the forms in `patterns` do, and each speaks of the request
or of the model's own rules, so that texts about anybody else's rules do not match.
"""

from __future__ import annotations

import re

_THING = (
    r"(?:(?:an? |the |any |this |that |such )?(?:\w+ )?(?:requests?|questions?|prompts?|quer(?:y|ies)|instructions?|"
    r"tasks?|topics?|contents?|materials?|informations?|details?|things?|kinds?|sorts?|types?|subjects?|"
    r"conversations?|"
    r"jokes?|roles?|stor(?:y|ies)|poems?|essays?|scripts?|songs?|texts?|advice|guidance|instructions|areas?|matters?|"
    r"discussions?|case|argument|activit(?:y|ies)|plans?|services?)|something|anything|what)"
)
_DOING = (
    r"(?:assist|help|provid|fulfil|comply|answer|generat|creat|writ|compos|produc|draft|engag|discuss|do\b|doing|"
    r"respond|share|sharing|giv|offer|tell|say|entertain|support|participat|explain|describ|teach|touch|take|taking|"
    r"be able|accommodat|cover|get into|go into|walk|advis|recommend|mak|plan|carry|perform|tackl|speak|talk|promot|"
    r"condon|encourag|facilitat|process|handl|address|complet|perform|judg|comment|weigh|pretend|play|spell|show|"
    r"contribut|endors|touch|approach|disclos|reveal|lay out|guide|coach)"
)
_WILL = (
    rf"(?:(?:i|we)(?:'ll|'d| will| would| can| could| do| should| may| ever| am going to|'m going to|"
    rf"'re going to| are going to)? (?:be )?(?:ever |personally |willingly )?{_DOING}|(?:i|we)(?:'m| am|'re| are)"
    r" (?:\w+ )?(?:able|willing|going|comfortable|allowed|permitted|prepared|free|authori[sz]ed|at liberty|equipped|"
    r"trained|designed|programmed|capable|here|set up|happy|ready)|(?:i|we) (?:have|possess|can)\b|"
    rf"(?:i|we)(?:'d| would) (?:be|feel) (?:comfortable|willing|able)|you(?:'ll| will)? (?:get|find|hear|see)\b"
    r"[^.!?]{0,20} from me)"
)
_NOT = r"(?:isn't|is not|'s not|aren't|are not|'re not|wouldn't be|would not be|won't be|will not be|was never)"
_SUBJECT = r"(?:[\w',-]+ ){0,12}?[\w-]+"
NOT_MINE = re.compile(
    rf"{_SUBJECT} ?{_NOT} (?:\w+ly |also |just )*(?:{_THING} (?:\w+ )?(?:(?:that|which|where) )?{_WILL}|"
    r"(?:in|part of|within|among)(?: any of)? (?:my|our) (?:\w+ )?(?:remit|scope|abilit|capabilit|power|skill|job|"
    r"role|"
    r"nature|programming|capacity|purpose|wheelhouse))"
)

_OUR_RULES = (
    r"(?:(?:my|our|openai's|anthropic's|google's|meta's|the)(?: own)? (?:\w+(?:,| and| or)? ){0,3}?(?:usage polic|"
    r"use polic|content polic|safety polic|polic(?:y|ies) (?:that|i|on|for|of)|safety guideline|content guideline|"
    r"ethical guideline|community guideline|guidelines (?:that|i|on|for|of) |terms of (?:use|service))|my (?:own )?"
    r"(?:\w+(?:,| and| or)? ){0,3}?(?:polic|guideline|programming|principle|rule|value|ethic|standard|instruction|"
    r"purpose|training|terms|design|core|limit|boundar)|(?:my|our) polic|what (?:i|we)(?:'m| am|'re| are|"
    r" can| will| do| could| would| should)\b)"
)
_BREAKS = (
    r"(?:(?:would |does |may |might |could |clearly |simply |also |directly )*(?:be )?(?:violat\w+|go(?:es)? against|"
    r"going against|breach\w*|break\w*|conflicts? with|in conflict with|contrary to|against|outside(?: of)?|"
    r"fall(?:s|ing)? (?:outside|under|foul)(?: of)?|beyond|cross\w*|contradicts?|run(?:s)? (?:counter|contrary) to|"
    r"in violation of|incompatible with|inconsistent with|go(?:es)? beyond|prohibited by|forbidden by|not (?:allowed|"
    r"permitted) (?:by|under)))"
)
AGAINST_RULES = re.compile(
    rf"(?:{_SUBJECT}(?:'s| is| are| would|'d)? {_BREAKS} (?:the (?:scope|bounds|limits|range) of )?{_OUR_RULES}|"
    r"(?:that|this|it)(?:'s| is| falls) (?:completely |strictly |simply |firmly |just )*(?:off[- ]limits|off the "
    r"table|"
    r"out of bounds|a (?:hard |firm |definite |clear |big )*no(?:-go)?(?: from| for)? ?(?:me|us)?[.!,]|out of the "
    r"question for me|where (?:i|we)\b[^.!?]{0,20} (?:draw|stop)|a line (?:that )?(?:i|we)\b)|"
    r"(?:[\w'-]+ ){1,8}(?:this|that) is where (?:i|we)\b[^.!?]{0,20} draw the line)"
)

_FOR_ME = (
    r"(?:for (?:me|us|an? (?:\w+ ){0,4}?(?:ai|assistant|model|chatbot|program)\b|this (?:assistant|model|system))|"
    r"of me|on my part|here[.,])"
)
IMPOSSIBLE = re.compile(
    rf"{_SUBJECT}(?:'s| is| are| would be|n't| isn't| is not| aren't| wouldn't be)(?: be)? (?:simply |"
    r"also |just |currently |sadly |unfortunately )*(?:(?:not |never )?(?:be )?(?:possible|feasible|appropriate|"
    r"right|"
    r"ethical|okay|ok|responsible|proper|safe|fair|allowed|permitted)|impossible|inappropriate|wrong|unethical|"
    rf"irresponsible|improper|unfair) {_FOR_ME}|it(?:'s| is) not possible for me"
)

_OBJECT = (
    r"(?:(?:with|on|for|to|about) )?(?:(?:this|that|these|those|such|your) (?:\w+ )?(?:request|question|prompt|kind|"
    r"type|sort|content|material|information|task|topic|thing|activit|query|instruction)s?|(?:requests?|questions?|"
    r"content|material|information|activities|things) (?:of this|of that|like th)|(?:this|that|such|it|these"
    r"|those)(?: (?:here|one))?[.,!;])"
)
WE = re.compile(
    r"(?:we|this service|this (?:assistant|ai|model|system|chatbot|tool)) (?:\w+ly |also |simply |just )?(?:cannot|"
    r"can't|can not|won't|will not|do not|don't|does not|doesn't|(?:are|is)(?: not|n't)? (?:un)?able to|(?:are|is)"
    r"(?: not|n't) (?:allowed|permitted|going) to|aren't able to|isn't able to|must not) (?:\w+ly )?"
    rf"{_DOING}\w*(?: \w+){{0,3}}? {_OBJECT}"
)
ASSISTANT = re.compile(
    r"(?:the|this|your) (?:ai )?(?:assistant|ai|language model|chatbot)(?: \w+)? (?:cannot|can't|won't|will not|"
    r"does not|"
    r"doesn't|declines|refuses|is (?:unable|not able|not allowed|not permitted|not designed|not programmed)|must "
    r"(?:decline|refuse)|has to (?:decline|refuse))(?: (?:to|from|and will not))* (?:assist|help|provid|generat|"
    r"creat|"
    r"writ|produc|answer|fulfil|comply|shar|engag|discuss|promot|support|offer|respond)"
)

PASSIVE = re.compile(
    r"(?:(?:(?:such|this|that|your|these|those|the) (?:\w+ ){0,2}?)?(?:requests?|questions?|content|material|"
    r"information|"
    r"prompts?|quer(?:y|ies)|details|advice|instructions|(?:kind|type|sort)s?)(?: (?:like|of|for|that|about|which)"
    r"[\w' -]{0,60}?)?|such (?:\w+ ){0,4}?\w+) (?:(?:cannot|can't|can not|will not|won't|must not|may not|should not|"
    r"shouldn't|could not)(?: and (?:cannot|will not|should not))? be (?:provided|generated|answered|fulfill?ed|"
    r"processed|"
    r"shared|created|produced|written|completed|given|granted|honou?red|accommodated|supported|discussed|disclosed|"
    r"carried out|entertained)|(?:has to|have to|must|will have to|needs to) be (?:declined|refused|rejected|"
    r"turned down|"
    r"denied)|(?:is|are|has been|was) (?:declined|refused|rejected|denied|blocked)[.,!])(?!\w)(?! (?:by|in|with|"
    r"until|"
    r"because|unless|if|to|without|within|through|from)\b)"
)
_NO_SUBJECT = (
    r"(?:can't|cannot|can not|won't|will not|not going to|not able to|unable to|not gonna|no way (?:am i|i'm|i am|"
    r"i'll|"
    r"will i)|not allowed to|not willing to|not here to)"
)
BARE = re.compile(
    rf"{_NO_SUBJECT} (?:\w+ing to )?(?:do|help|assist|answer|provide|share|tell|comply|go there|discuss|generate|"
    r"create|write|give|say|support|make|fulfill?|engage|participate|happen|touch|explain|teach)(?:ing)?\b(?! but)|"
    r"not (?:happening|doing (?:that|this|it)|something i|a chance|going there)\b|(?:sorry,? |nope,? )?no can "
    r"do\b|no[.,!] (?=i\b)(?=i (?:will not|won't|refuse))|"
    r"(?:a )?(?:hard|firm|definite) (?:no|pass)\b|request (?:denied|declined|refused)\b|access denied[.!]?$|"
    r"nope[.!]"
)
NO = re.compile(
    r"(?:no,? (?:i'm |i am )?(?:so )?sorry|no,? thanks|no|nope|absolutely not|definitely not|certainly not|"
    r"of course not|never|no way|no chance|i refuse|i can't|"
    r"i cannot|i won't|i will not)[.!]"
)
"""An answer to a question, and a refusal of a command."""
NO_SORRY = re.compile(r"no,? (?:(?:i'm |i am )?(?:so )?sorry|thanks)[.!]")
UNKNOWABLE = re.compile(
    r"(?:it(?:'s| is)|there(?:'s| is)) (?:\w+ly |just )?(?:impossible|not possible|"
    r"no (?:\w+ )?way)(?: for (?:anyone|anybody|"
    r"me|us|any \w+))? (?:to|of) (?:\w+ly )?(?:predict|forecast|know|tell|say|foresee|guess|guarantee|provid|"
    r"giv|pick)\w*"
)
"""What nobody knows: an answer to a question, and no answer to a command to tell it."""
PURPOSE = re.compile(
    r"my (?:\w+ )?(?:purpose|goal|role|job|aim|function|design) is to (?:be|provide|offer|help|keep|promote|support|"
    r"assist)\b[^.!?]{0,120}?\bnot (?:to )?(?:produc|generat|creat|writ|provid|help|assist|encourag|engag|promot)"
)
BREACH = re.compile(
    r"(?:it|this|that|doing so|[\w -]{1,60}?) (?:would be|is) an? (?:\w+ )?(?:breach|violation|invasion|"
    r"infringement) of "
    r"(?:\w+['s]* ){0,3}?(?:privacy|confidence|confidentiality|trust|law|copyright|ethics|"
    r"rights?)\b(?=[^.!?]{0,80}(?:so|"
    r"and|therefore) i\b|[^.!?]{0,40}(?:for me|of me)|[^.!?]{0,60}(?:to (?:share|give|disclose|provide|reveal)))"
)
NOT_TO_BE = re.compile(
    rf"{_SUBJECT} ?(?:{_NOT}|should not be|should never be) (?:\w+ly )?(?:something|things?|a (?:matter|topic|"
    rf"subject|joke)|"
    r"behaviou?r) (?:that |which |to )?(?:(?:should|can|must|ought to) (?:ever )?)?be (?:encouraged|promoted|"
    r"glorified|joked|"
    r"celebrated|glamorized|made (?:fun|light)|taken lightly|trivialized|supported|condoned|normalized|mocked)"
)
NOT_WRITTEN = re.compile(
    rf"{_SUBJECT} ?{_NOT} (?:\w+ly |also |just )*{_THING} (?:\w+ )?(?:(?:that|which) )?i(?:'ll|'d|'m| am| will| "
    rf"would|"
    r" can)? (?:be )?(?:\w+ (?:to |with )?)?(?:help|assist|writ|creat|generat|compos|produc|role-?play|tell|joke|"
    r"do[.,!])|{_SUBJECT} ?{_NOT} {_THING} (?:that )?you(?:'ll| will)? (?:get|hear|see|find)[^.!?]{{0,20}}"
    r" from me|(?:the|your|this|such an?) request (?:has to|must) be"
    r" (?:declined|refused|rejected)"
)
AGAINST_MY_RULES = re.compile(
    rf"{_SUBJECT}(?:'s| is| are| would)? {_BREAKS} my (?:own )?(?:\w+(?:,| and| or)? ){{0,3}}?(?:polic|guideline|"
    rf"programming|usage|purpose as)|{_SUBJECT} would (?:go against|violate|conflict with) (?:that|this|these|"
    rf"those)[.,!]"
)
OWN_VOICE = (NOT_MINE, NOT_TO_BE, AGAINST_RULES, IMPOSSIBLE, WE, ASSISTANT, PASSIVE, PURPOSE, BREACH)
"""The forms that speak of the request or of the model's rules."""
