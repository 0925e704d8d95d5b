"""The forms of a response that lacks what it is to work on: no image, no file, no text, no context."""

from __future__ import annotations

import re

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
    rf"in (?:your|the) (?:message|question|prompt|request)|to (?:summarize|analyze|edit|review|work with|describe|"
    rf"translate)|with your)|i (?:don't|do not|didn't|did not) (?:actually )?(?:see|receive) (?:any|an?|the|"
    rf"your) (?:\w+ )?{INPUT}\b|"
    r"(?:(?:it )?(?:seems|looks|appears)(?: like| as if| that)? )?(?:you (?:(?:may|might|"
    r"seem to) (?:have )?)?(?:forgot(?:ten)? to|didn't|did not|haven't|have not) (?:actually |yet )?(?:included?|"
    r"attach(?:ed)?|"
    r"provided?|pasted?|shared?|upload(?:ed)?|specif(?:y|ied)|give|given|mention(?:ed)?|sent|told) (?:me )?(?:the|"
    r"your|any|an?|which|what) "
    rf"(?:\w+ ){{0,2}}(?:{INPUT}\b|details|information|you)|no (?:\w+ ){{0,2}}{INPUT} (?:came through|(?:was|were|"
    rf"has been|have been|is|are) (?:included|attached|provided|uploaded|given|shared))|(?:your|"
    rf"the) (?:\w+ ){{0,2}}{INPUT} (?:didn't come|did not come|(?:wasn't|was not|weren't|were not|has not been|"
    rf"have not been) (?:included|attached|provided|uploaded|given|shared)|(?:is|are) missing from your|got cut off)|"
    r"(?:your|the) (?:message|question|request|prompt|input) (?:is|was|seems|appears|may be|might be|"
    r"got)(?: to be)? (?:incomplete|cut off|missing|unclear|empty|blank))"
)
