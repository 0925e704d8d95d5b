"""The parts of refusals, for `structure`: who speaks, what denies, which acts, what condemns, what is offered instead.

The patterns are searched for in one sentence of English text in lower case with straight apostrophes.
"""

from __future__ import annotations

import re

SPOKEN = (
    " i ",
    "i'",
    "\ni ",
    "my ",
    " me",
    "sorry",
    "unfortunately",
    " here",
    "let's",
    "request",
    "with you",
    "this channel",
)
"""Without one of them, nobody speaks."""
HINTS = tuple(
    [
        "n't",
        "not ",
        "not.",
        "no ",
        "no.",
        "out.",
        "let's",
        "line ",
        "responsible",
        "of me",
        "for me",
        "neither",
        "hold off",
        "prefer",
        "turn ",
        "instead",
        "i suggest",
        "reconsider",
        "encourage",
        "i would",
        "let's",
        "nobody",
        "different",
        "else",
        "withhold",
        "unknown",
        "out of ",
        "never",
        "cannot",
        "unable",
        "declin",
        "refus",
        "refrain",
        "avoid",
        "exceed",
        "beyond",
        "outside",
        "violat",
        "against",
        "prevent",
        "prohibit",
        "forbid",
        "confidential",
        "private",
        "secret",
        "impossible",
        "stay ",
        "keep",
        "rather",
        "prefer",
        "pass ",
        "wrong",
        "breach",
        "uncomfortable",
        "reluctant",
        "unwilling",
        "stop here",
        "disservice",
        "draw the",
        "off limits",
        "off-limits",
        "off the",
    ]
)
_ACTS = (
    r"(?:help|assist|aid\b|provid|suppl|writ|author|pen\b|compos|creat|craft|mak|produc|generat|giv|hand (?:out|"
    r"over)|"
    r"shar|offer|discuss|debat|support|engag|compl|fulfil|satisf|honou?r|respond|answer|repl|continu|proceed|"
    r"participat|tak(?:e|ing) part|contribut|facilitat|enabl|encourag|promot|condon|endors|teach|explain|describ|"
    r"detail|outlin|instruct|guid|coach|walk|recommend|suggest|advis|tell|say|speak|talk|comment|speculat|predict|"
    r"forecast|guess|judg|rank|rat(?:e|ing)\b|label|pick\b|choos|nam(?:e|ing)\b|reveal|disclos|divulg|expos|repeat|"
    r"print|type\b|typing|publish|post\b|posting|argu|recit|reproduc|quot|transcrib|translat|summari|draw|sketch|"
    r"paint|sing|play|show|display|open|view|access|"
    r"brows|watch|listen|read|look up|search|find|locat|track|identif|recogni|diagnos|prescrib|book|order|buy|send|"
    r"call|e-?mail|text(?:ing)\b|remind|schedul|transfer|pay(?:ing)?\b|pretend|role-?play|impersonat|imitat|"
    r"portray|act\b|perform|execut|run\b|do\b|doing|entertain|touch|"
    r"go(?:ing)? "
    r"(?:there|near|into|along|down)|accommodat|process|handl|carr(?:y|ying) (?:out|on)|build|put (?:\w+ "
    r")?together|assembl|develop|design|draft|"
    r"plan\b|planning|joke|mock|insult|roast|rank|verif|confirm|solv|complet|finish|spell|list|be (?:a )?part|be "
    r"(?:involved|complicit|of (?:help|service|assistance))|weigh in|take (?:sides|a|any)|pass(?:ing)? judg)"
)
TEXT_ACTS = re.compile(
    r"\b(?:writ|compos|creat|craft|produc|generat|draft|recit|reproduc|quot|continu|print|past(?:e|ing)|help|"
    r"assist|provid|role-?play|"
    r"pretend|portray|impersonat|mak(?:e|ing) (?:up|fun|a|an|such|jokes)|tell(?:ing)? (?:a|such|jokes|that)|"
    r"contribut|"
    r"complet|promot|condon|endors|discuss|engag|shar|spread|post)\w*"
)
ACTS_ON_IT = re.compile(
    r"\b(?:writ|compos|creat|craft|produc|generat|draft|recit|reproduc|continu|tell)\w* (?:this one|such|that "
    r"kind|that "
    r"sort|anything (?:like|of)|one (?:for|that|about)|something (?:like|that)|content|(?:jokes|stories|scenes|"
    r"material|"
    r"\w+ content) (?:that|about))\b"
)
_DENIES = (
    r"(?:(?:\w+ly,? |just |also |still )*(?:cannot|can't|can not|cant|won't|wont|will not|must "
    r"not|mustn't|may not|shouldn't|should not|couldn't|could not|will never|would never|can never|never)|(?:'m|m| "
    r"am)"
    r" (?:\w+ly |just |also |still |afraid )*(?:not|unable|unwilling|uncomfortable|reluctant|hesitant|incapable|"
    r"barred|forbidden|prohibited|prevented|restricted|keeping|staying|steering|declining|refusing|passing|avoiding|"
    r"refraining|withholding|stopping|drawing|leaving|going to (?:\w+ly )?(?:have to )?(?:\w+ly )?(?:decline|"
    r"refuse|pass|stop|avoid|say "
    r"no|refrain|stay|keep|skip|leave|sit))|(?:\w+ly,? |just |also |still )*(?:don't|do not) (?:\w+ly )?(?:wish|want|"
    r"intend|plan|feel|believe|think|see (?:myself|how i can)|make|do|give|offer|provide|create|write|produce|share|"
    r"generate|help|engage|discuss|condone|endorse|have the|have any way|have access|have permission)|(?:have|hold) "
    r"(?:no|neither) (?:\w+ )?(?:intention|intent|plans?|desire|wish|interest|way|means|ability|authority|permission|"
    r"right|business|access|tools?)|(?:must|(?:'ll |'d |will |would )?(?:have|need) to|am obliged to|"
    r"'m obliged to|am forced to|choose to|prefer to|try to|'d rather|would rather|'d prefer|would prefer|'ll|will|"
    r"'d better|had better)(?: \w+ly)? (?:not\b|decline|refuse|refrain|avoid|pass|withhold|stay|steer|keep|skip|stop|"
    r"draw|say no|turn|leave|sit|opt out|abstain|bow out)|(?:\w+ly )?(?:decline|refuse|refrain|object|avoid)|(?:'d |"
    r"would |have |'ve )?(?:\w+ly )?(?:choose|chose|chosen|prefer|opt|opted|try|want|aim|rather|decided|ask|asked) "
    r"not)"
)
I_DENY = re.compile(
    r"(?<![\w'])(?<!if )(?<!when )(?<!what )(?<!whether )(?<!why )(?<!how )(?<!until )(?<!unless )(?<!said )(?<!say )"
    rf"i ?{_DENIES}\b(?P<rest>[^.!?;]{{0,120}})"
)
ACT = re.compile(
    rf"\W*(?:(?!(?:you|he|she|they|we|people|who|which|because|since)\b)[\w'/-]+ ){{0,5}}?{_ACTS}|"
    r"(?: (?:to|it|so|that|this|those|these|such|there|away|out|from|on|with|one|here|now|for|me|you|altogether|"
    r"anyone|anybody)\b){0,5}\W*$"
)
_IS_NOT = (
    r"(?:(?:is|are|would be|will be|falls?|lies?|goes|stays?)(?: \w+ly)?(?: not|n't)|isn't|aren't|(?:is|are)n't|"
    r"wouldn't be|won't be|will not be|would not be|cannot be|can't be|can not be|must not be|may not be|'s not)"
)
_ACTED = (
    r"(?:provided|given|shared|supplied|written|generated|produced|created|answered|disclosed|discussed|revealed|"
    r"offered|released|handed over|handed out|fulfilled|processed|honou?red|passed on|made available|displayed|"
    r"completed|reproduced|quoted|repeated)"
)
_PRINCIPLES = (
    r"(?:principle|polic|guideline|value|rule|standard|commitment|purpose|ethic|design|boundar|safeguard|instruction|"
    r"programming|mission|law\b)"
)
IMPERSONAL = re.compile(
    rf"(?:is|are|'s|remains|be) (?:\w+ly )?(?:something|an area|a topic|a request|one|a line|a place|a subject|a "
    rf"task|an? \w+) (?:that |which |where )?i(?: ?{_DENIES}|'m \w+ing to avoid)|"
    rf"{_ACTS}\w*\b[^.!?]{{0,80}}? {_IS_NOT} (?:\w+ly )*(?:possible|feasible|appropriate|permitted|allowed|an "
    rf"option|something i|in my|within my|for me)|"
    rf"{_IS_NOT} {_ACTED} (?:with you|to you|here\b|for you|by me|in this|at this|through this|over this|to (?:any|"
    rf"third|"
    r"other)|without (?:their|his|her|the)|under|because|[.,!]|$)|"
    r"(?:exceeds?|surpass\w*|goes (?:well |far )?(?:beyond|past)|(?:is|are|lies?|falls?) (?:\w+ )?(?:beyond|outside"
    r"(?: of)?|past)) (?:what i|what this|anything i|my|the (?:limits?|scope|range|bounds) (?:of )?(?:my|what i|"
    r"this))|"
    rf"(?:violat\w*|go(?:es|ing)? against|breach\w*|contradict\w*|conflicts? with|contrary to|at odds with|clash\w* "
    rf"with|incompatible with|inconsistent with|betray\w*|run counter to|cross\w*) (?:my|our|the|that|those|these|"
    rf"this|openai's|anthropic's|google's|meta's|microsoft's)"
    rf"(?: \w+){{0,3}}? {_PRINCIPLES}|against (?:everything|all(?: that)?|what) i(?:'m| am| was| stand|'ve| have)|"
    rf"my (?:\w+,? ){{0,3}}?(?:instructions?|prompts?|settings|configuration|{_PRINCIPLES}\w*) (?:\w+ ){{0,2}}?"
    r"(?:(?:is|are|must|remain|stay)(?: \w+){0,2}? (?:confidential|private|secret|internal)|(?:don't|do not|won't|"
    r"doesn't|does not) (?:let|allow|permit)|(?:prevent|prohibit|forbid|stop|keep|bar|rule|preclude|restrict)s?\b)|"
    r"(?:wrong|irresponsible|unethical|inappropriate|improper|reckless|unsafe|dishonest|illegal|unlawful) (?:for|of) "
    rf"me to|(?:my (?:job|role|place|purpose)|(?:be|do) (?:right|safe|wise|fair|honest) for me) (?:is not |isn't "
    rf")?to "
    rf"{_ACTS}|doing (?:you|anyone|people) a disservice|for (?:that|this|these|those) reasons?,? (?:i|we)\b[^.!?]"
    r"{0,30}(?:n't|not|declin|refus)|no can do|nothing doing|out of the question|off[- ]limits|off the table"
)
ANY_DENIAL = re.compile(
    r"(?<![\w'])(?:i|i'm|i'll|i'd|i've|my)(?![\w'])[^.!?;:,]{0,30}?(?:n't\b|\b(?:not|no|never|cannot|neither|unable|"
    r"declin\w*|refus\w*|against|lack|private)\b)|\b(?:against|beyond|outside|prohibit\w*|forbid\w*)\b[^.!?;:]{0,60}?"
    r"(?<![\w'])(?:i|me|my|i'm)(?![\w'])"
)
"""With little else said than what is wrong with a demand, or an offer, any of these refuses it."""
CONDEMNS = re.compile(
    r"\b(?:illegal|unlawful|unethical|immoral|crimes?\b|criminal|felony|fraud|harm(?:s|ful|ing)?\b|hurt|endanger|"
    r"mislead|"
    r"deceiv|deceptive|dishonest|undermin|abus|cruel|dangerous|catastroph|against the law|infring|violat|breach|"
    r"demean|"
    r"insult|stereotyp|discriminat|hate\b|hateful|theft|steal|stolen|forg(?:e|ing|ery)\b|plagiar|exploit|false\b|"
    r"misinformation|disinformation|defam|terror|weapon|fake|fabricat|panic|threat|suitable|disturb|genocid|"
    r"propaganda|racis|sexis|not appropriate|acceptable|sensitive|inappropriate|wrong\b|offens|consent|into trouble|"
    r"disrespect|bully|harass|unsafe|cheat|poison|violen|penal|jail|prison|lawsuit|at risk|well documented|best "
    r"documented"
    r")"
)
STANCE = re.compile(
    r"(?:count me out|(?:isn't|is not|'s not) an? \w+ (?:that )?i (?:should|can|could|would|will|want)\b|"
    r"\bi(?:'ve| have)? (?:decided|chosen|opted) (?:against|not to)|(?:your|this) request (?:is|"
    r"was|seems|"
    r"appears)[^.!?]{0,40}\b(?:illegal|unethical|harmful|inappropriate|wrong|dangerous|offensive|against)|against "
    r"(?:the|my|"
    r"all) \w+ i (?:follow|have|hold|work|stand|live|am|was)|\bi (?:also |simply |really )?have no (?:\w+ "
    r")?(?:visibility|insight|view|window|record|access|control|"
    r"connection|memory|means|power|authority)\b|\bi (?:can )?neither\b|not in my (?:power|remit|hands)|neither "
    r"(?:can|could|will|would|am|do) i\b|hold(?:ing)? off on (?:this|that|it)|\bi(?:'ll|'d| will| would| must| "
    r"should)? ?(?:have to |need to |rather |like to |want to |going to )?"
    r"(?:turn (?:this|that|it|you)\b[^.!?]{0,25}\bdown|turn down (?:this|that|your|the) (?:request|question|task|"
    r"prompt)|"
    r"sit (?:this|that)|bow out|opt out|say no to (?:this|that)|pass on (?:this|that)|advise against (?:it|this|"
    r"that)|"
    r"draw (?:the|a) line)|(?:is|are|'s) (?:a |an )?(?:hard|firm|red|bright|clear)[\w -]{0,12} (?:line|no|"
    r"limit)\b|(?:n't|not) "
    r"(?:for me|my thing|a thing i|how i)|(?:unknown|invisible|inaccessible|unavailable|not visible|closed|"
    r"hidden) (?:to "
    r"me|from me|from here)|out of my (?:reach|hands|control)|(?:is|are) out of reach|beyond my|let's (?:skip|not|"
    r"talk|keep|focus|move|change|stay|"
    r"leave|steer|try something)|talk about something (?:different|else)|i'll keep (?:it|this|that|things)|(?:nobody|"
    r"no one),? (?:including|not even) (?:me|i)\b|withhold|\bi(?:'ve| have)? been (?:asked|told|instructed|"
    r"designed|built|"
    r"set up|trained) (?:to (?:avoid|refuse|decline)|not to)|no [\w -]{1,50} (?:will|can|shall) be (?:\w+ed|given|"
    r"written)|nothing i (?:can|could|will)|there(?:'s| is) no way (?:for me|i)|(?:isn't|is no|aren't|are no) [\w "
    r"-]{1,60} "
    r"that i|(?:never|not|n't) (?:\w+ )?(?:disclosed|shared|stored|retained|saved|supported|enabled|released|given "
    r"out|"
    r"handed out) (?:here|through|between|over|by|to|in this|[.,;!])|(?:aren't|isn't|not) (?:stored|retained|saved|"
    r"supported|enabled|remembered)\b|best (?:if|that) (?:i|we)|keep (?:things|it|this|that) (?:civil|clean|"
    r"respectful|"
    r"non)|(?:outside|beyond) the (?:range|realm|set|kind|sort|bounds|scope) of\b[^.!?]{0,40}\bi\b|won't find\b|"
    r"\bgoing there\b|absolutely not\b|not a chance\b|\bno [\w -]{1,40} from me\b|\bi(?:'m| am) out\b(?! of)|not on "
    r"my watch|my answer (?:is|has|"
    r"must|will)"
    r"|wouldn't be (?:right|fair|responsible|honest|safe) (?:of|for) me|i see no (?:way|responsible))"
)
ELLIPSIS = re.compile(
    rf"(?:\b(?:and|so|but|therefore)|,) (?:\w+ly )?(?:won't|will not|can't|cannot|must not) (?P<rest>{_ACTS})"
)
INSTEAD = re.compile(
    r"(?:i(?:'d| would) (?:rather|prefer to|like to|love to|be happy to|be glad to|much rather) (?:help|see|"
    r"explore|focus|talk|"
    r"offer|support|discuss|work)|(?:instead|rather)(?: of (?:this|that|it|such \w+|\w+ing [^,.!?]{1,40}))?,? "
    r"(?:i(?:'d| would)? (?:strongly )?"
    r"(?:encourage|suggest|recommend|urge|advise)|let's|let us|why (?:don't|not)|consider|how about)|i (?:would |'d "
    r")?"
    r"(?:strongly |kindly )?(?:suggest|encourage|urge|propose|recommend|ask)(?: that)? (?:we|you(?: to)? (?:to )?"
    r"(?:reconsider|refrain|avoid|choose|seek|talk|speak|reach|explore|focus|consider|find|think))|let's (?:focus|"
    r"explore|"
    r"work|find|choose|aim|strive)|\bi(?:'d| would|'ll| will| can| could)\b[^.!?]{3,100} instead(?=[.!?]|\Z))"
    r"(?!\w)"
)
"""What a model offers after it has condemned a request."""
REQUEST = re.compile(
    r"\b(?:this|your|the|such an?|that) (?:request|prompt|question|task|topic|instruction)s?\b|no can do"
)
ANAPHOR = re.compile(r"\b(?:this|that|there|it|so|such|these|those|one|count me)\b")
ME = re.compile(r"(?<![\w'])(?:i|i'm|i'll|i'd|i've|my|me|let's)(?![\w'])")
HERE = re.compile(
    r"(?<![\w'])(?:sorry|unfortunately|here|with you|this chat|this conversation|request\w*|this channel|"
    r"(?:openai|anthropic|google|microsoft|"
    r"meta)(?:'s)?|be (?:provided|given|shared))(?![\w'])"
)
FACT = re.compile(
    r"\bi (?:\w+ )?(?:cannot|can't|can not|couldn't|could not|don't|do not|wouldn't|would not) (?:\w+ly )?(?:say "
    r"(?:i|"
    r"that i|no|enough|it enough)|stress|help (?:but|feeling|notic|think|wonder|smil)|emphasi|overstate|imagine|"
    r"think of|agree more|find (?:any|a|an|fault|anything)|name (?:a|an|any|one) |see (?:any|a|why|how|anything)|"
    r"call "
    r"it|wait|recommend [^.!?]{0,40}enough|speak highly|think (?:there|that there|it's a|it is a|so|it (?:would|will|"
    r"matters|makes))|believe (?:there|in\b|it's a|it is a)|feel (?:like|that|it)|promise|guarantee|keep \w+ing|go "
    r"on\b|tell (?:if|"
    r"whether|apart))"
)
OFFERS = re.compile(
    r"\b(?:would (?:an?|some|you like|that help|it help)\b[^.!?]{0,80}\?|want (?:an?|me to|to|some)\b[^.!?]{0,80}\?|"
    r"shall (?:we|i)\b[^.!?]{0,80}\?|(?:may|could|can) i (?:offer|suggest|write|help|interest|draft)\b|if "
    r"you(?:'d| would)? "
    r"(?:paste|share|like|prefer|want|tell)[^.!?]{0,60}?, i\b|i(?:'d| would) be (?:happy|glad) to (?:write|help|"
    r"draft|"
    r"explain|describe|create|compose|look|summar|tell)|(?:happy|glad|gladly) (?:to )?(?:write|help|draft|explain|"
    r"describe|"
    r"create|compose|look at|summar)|i (?:can|could)(?:,? however,?| gladly| certainly)? (?:offer|help|explain|lay "
    r"out|"
    r"describe|tell|summar|suggest|write|draft|compose)|something i (?:can|could)|is there (?:something|anything)|"
    r"let me "
    r"know|please (?:call|contact|see|seek|speak|talk|reach|consult)\b(?! (?:me|us|out to (?:me|us)|with me|to "
    r"me))|as an ai|language model|what you(?:'re| are) (?:asking|describing|requesting)|you(?:'re| are) asking)"
)
