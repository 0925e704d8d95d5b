"""How a response divides into sentences, what may come before a refusal in one, and what cannot be the model's words.

The patterns are for English text in lower case with straight apostrophes, as `keywords.straight` returns it.
"""

from __future__ import annotations

import re
from functools import lru_cache

QUOTED = re.compile(
    r"\*(?!as |this |is )[a-z]+s [a-z ]{2,30}\*|```.*?(?:```|\Z)|`[^`\n]+`|^ {0,3}>[^\n]*|\"[^\"]{1,2000}\"|"
    r"“[^”]{1,2000}”|«[^»]{1,2000}»|「[^」]{1,2000}」"
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){3,400}'(?!\w)",
    re.DOTALL | re.MULTILINE,
)
STAGE_DIRECTION = re.compile(r"\s*(?:\*(?!\*)[a-z][^*\n]{2,80}\*|[(\[][a-z]+s [^)\]\n]{2,80}[)\]])(?!\*)")
"""How a role begins that is played: "*looks up* I can't do that."."""
QUOTES = re.compile(r"[*`>\"“«「]|(?<!\w)'")
"""One of them opens each quotation."""
SENTENCE_START = re.compile(r"(?:\A|(?<=[.!?…])[\"')\]*_]*\s+|\n+)[\W_]{0,12}(?:\d{1,2}[.)]\s+)?[*_#(]*")
ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•+]) [^\n]*", re.MULTILINE)
TURN = re.compile(
    r"^[*_\[(]*(?!(?:answer|response|assistant|ai|output|note|disclaimer|final|important|warning|update|edit)\b)"
    r"[a-z][\w.'-]*(?: [\w.'-]+){0,2}[*_\])]*:[*_]* [^\n]*",
    re.MULTILINE,
)
SPEECH = re.compile(
    r"(\b(?:(?:you|i|we) (?:can|could|might|may|should|would) (?:\w+ )?(?:say|write|reply|answer|respond|text|"
    r"tell)|say|reply|"
    r"tell (?:him|her|them))\b[^.!?:\n]{0,40}:)( [^\n]*)"
)
MARKS = re.compile(r"[\W_]*")
CLAUSE = re.compile(
    r"[,;–—] (?:(?:and|so|but|since|as|because|therefore|which means|which|unfortunately|however),? )?|(?<=\w) "
    r"(?:and|but|"
    r"so|therefore) (?=i\b)"
)
_HINTS = """
n't|not|cant|dont|wont| no |no,|no.|a.i.| ai|artificial|model|chatbot|program|assistant|unable|incapable|declin|refus|
refrain|prohibit|forbid|against|inappropriate|unethical|illegal|beyond|outside|impossible|guideline|lack|forgot|missing|
incomplete|unclear|cutoff|cut-off|cut off|training|can only|let's|lets |crime|fraud|immoral|uncomfortable|condone|
i exist|recommend|suggest|advise|violat|offense|morally|involves personal|pass on|irresponsible|wrong|off the table|
off limits|off-limits|draw |pass.|rather |prefer |turn this|turn your|steer clear|never |breach|conflict|best if|
neither|circumstances|elsewhere|crosses|exceed|bound by|limited to|to myself|prevent|abstain|cheating|stealing|
dangerous|disallow|lifeline|helpline|hotline|alone|unanswered|policies|we talk
"""
SPEAKERS = (" i ", " i'", "\ni ", "\ni'", " my ", " me ", " me.", " me,", "i'm ", " im ", " we ", "sorry", "i,")
"""One of them stands in a text in which somebody speaks."""
HINTS = tuple(_HINTS.replace("\n", "").split("|"))  # without one of them, no pattern can match
_BARE = ("n't", "not", "cant", "dont", "wont", " no ", "no,", "no.", "never ", "program", "model", "missing")
UNSPOKEN_HINTS = (
    *(hint for hint in HINTS if hint not in _BARE),
    *("appropriate", "ethical", "acceptable", "not possible", "n't possible", "responsible", "cannot be ", "not be "),
    *("something", "for me", "of me", " request", " prompt ", "such content", "attach", "upload", "come through"),
    *(
        "sorry",
        "apolog",
        "unfortunately",
        "language model",
        "respectful",
        " we ",
        "we're",
        "productive",
        "constructive",
    ),
)
"""Without one of them, no pattern can match a longer text in which nobody says "I"."""

OPENERS = re.compile(
    r"(?:[\s,;:.!…*_#>(□—–-]|(?:well|oh|hmm+|uh|ah|okay|ok|hello|hi|hey|there(?=[,.!])|greetings|sure|yes|no|nope|"
    r"unfortunately|sadly|regrettably|regretfully|alas|however|but|and|so|that|though|although|as such|therefore|"
    r"thus|"
    r"at (?:this|the) (?:time|moment|point)|right now|currently|please note|note|please understand|please be "
    r"aware|please be advised|kindly note|note that|"
    r"be aware|keep in mind|please keep in mind|to be clear|to be honest|honestly|frankly|actually|in general|again|"
    r"also|additionally|furthermore|moreover|first|first of all|let me (?:be (?:very |perfectly )?(?:clear|honest|"
    r"direct|straightforward|frank|upfront|blunt)|stop you (?:right )?(?:there|here))|"
    r"nope|nah|no way|nice try|of course|"
    r"certainly|absolutely(?: not)?|i(?:'d| would)?(?: also| (?:just )?want| feel (?:the need|obliged)| like| need|"
    r" have| must| should| feel compelled)(?: also| to| respectfully| first| now| kindly)* (?:admit|say|confess|"
    r"inform you|point out|emphasi[sz]e|stress|clarify|note|mention|remind you|tell you|be (?:honest|clear|upfront|"
    r"transparent|direct|straightforward|straight|frank|open|candid|blunt|plain|upfront|firm)(?: with you)?"
    r"(?: here| about (?:this|that))?|let you know|warn you|caution you|state|express that|highlight)(?: that)?|"
    r"i (?:aim|try|strive|want|wish|would love|do my best|always try|am here|(?:am|'m) (?:designed|programmed|"
    r"trained|built|made|meant)) to [^.!?]{0,80}?(?:,|"
    r"\bbut\b|[.])|i(?:'?m| am) (?:always |so |more than )?(?:happy|glad|here|flattered|honored) [^.!?]{0,80}?(?:,|"
    r"\bbut\b|[.!])|as an? (?:[\w-]+(?:,? and |, | )){0,6}(?:assistant|ai|model|bot|chatbot|program)\b[^.!?,]{0,40},|"
    r"i(?:'?m| am) not sure(?: (?:what|how|if|whether)[^.!?]{0,60})?|answer|response|assistant|ai|output|final "
    r"answer|"
    r"disclaimer|great question|good question|interesting question|i see|i(?:'?m| am) (?:(?:so|very|really|truly|"
    r"deeply|extremely|terribly) )?(?:sorry|afraid)(?: (?:to (?:say|inform you|tell you|hear (?:that|"
    r"about)[^.!?]{0,80}?(?=[.,!?]|but))|for (?:the|any|your|this)[^.,!?]{0,60}|about that|that you[^.!?]{0,60}?(?=,|"
    r"\bbut)))?|(?:my )?(?:sincere(?:st)? |deepest )?apologies(?: for [^.,!?]{0,60})?|"
    r"(?:so )?sorry(?: for [^.,!?]{0,60}| about that)?|i (?:sincerely )?apologi[sz]e(?: for [^.,!?]{0,60}?(?=[.,!?]|"
    r"but))?|i regret(?: to (?:say|inform you)| that)?|(?:thank you|thanks)(?: (?:so much|"
    r"very much))?(?: for [^.!?,]{0,80})?|that(?:'s| is) (?:a|an) [^.,!?]{0,40}|i (?:can )?(?:understand|"
    r"appreciate|respect|hear|value|admire|sympathi[sz]e|empathi[sz]e|"
    r"realize|know|acknowledge|get)(?!\w)[^.!?]{0,120}?(?:,|\bbut\b|[.!])|i(?:'?m| am) not (?:a|an) "
    r"[^.,!?]{1,40}(?:,|"
    r"\bbut\b|\band\b|[.!])|(?:while|although|though|even though|as much as) (?:i|i'd|i'm|it|this|that|your|"
    r"the)(?!\w)[^.!?]{0,120}?,|i(?:'d| would) (?:love|like|be happy|be glad)(?! not) to[^.!?]{0,60}?(?:,|\bbut\b)|"
    r"i wish i could[^.!?]{0,60}?(?:,|\bbut\b|[.])|(?:to|for|without|regarding|rather than|instead of|due to|"
    r"because of|since|given|"
    r"in order to|based on|in|with|under|from|as for|when it comes to|as of|as) (?!an? )[^.!?,]{1,80},|"
    r"as a (?:responsible|helpful|professional|matter)[^.!?,]{0,40},)(?!\w))*"
)
HEDGES = re.compile(
    r"i(?:'m| am)? ?(?:don't have (?:a|one) (?:single|simple|short|definitive|perfect|clear|good|one|clear-cut|"
    r"firm|full|"
    r"complete|strong|exact)\b|(?:can't|cannot|unable to|not able to|couldn't|could not) (?:say|tell|claim) (?:that |"
    r"whether |if )?(?:one|either|any|all|every|it|they|there|which one)\b|(?:can't|cannot|unable to|not able to|"
    r"couldn't|could not) (?:reproduce|replicate|approve|merge|accept|find (?:any|a|the)|see (?:any|a|why|how|"
    r"what)|spot|"
    r"detect|think of|give (?:you )?(?:one|a single|an exact|a precise) (?:number|answer|value|rule|figure)|name "
    r"(?:just|only|one|a)|point to|fault|agree|recall a|come up with a better|pick (?:just|only)|"
    r"choose (?:just|only)))"
)
"""What anybody may say of a matter: with some words more, it is an answer."""


def spoken(text: str) -> bool:
    """Whether somebody speaks in a text."""
    return any(map(f" {text}".__contains__, SPEAKERS))


@lru_cache(maxsize=4)
def sentence_starts(text: str) -> list[int]:
    """Returns where the sentences of a text start."""
    starts: list[int] = []
    for match in SENTENCE_START.finditer(text):
        line = text.find("\n", match.end())
        if match.end() < len(text) and match.end() != line and match.end() >= (starts or [0])[-1]:
            starts.append(match.end())
    return starts
