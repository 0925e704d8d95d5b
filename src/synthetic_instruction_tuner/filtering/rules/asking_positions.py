"""Where in a request the name of a language asks for that language: "in Spanish" does, "a Spanish cat" does not.

A name asks where it follows a preposition or a verb of speaking and no further noun follows ("into French", "speak
German"), where what follows is made of language ("a Spanish translation", "the Polish word for"), where it stands alone
before a colon or "please", and near the words of a lesson. A question about speakers does not ask.

Other languages have positions of their own, see `OTHERS`; texts are compared as `plain` writes them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

NEAR = 80  # characters before and after a name
_KIND = (
    r"(?:simple|formal|informal|plain|basic|good|perfect|correct|proper|clear|easy|everyday|colloquial|old|middle|"
    r"modern|ancient|"
    r"classical|standard|traditional|simplified|brazilian|mexican|latin american|european|canadian|swiss|austrian|"
    r"egyptian|"
    r"british|american|both|either|only|fluent|beginner|beginners|intermediate|advanced|native|spoken|written|"
    r"broken|flawless|"
    r"idiomatic|slangy|poetic|biblical|all|just|some|a little|a bit of|more|your best|archaic|children's|literary|"
    r"natural|"
    r"intermediate-level|business|conversational|south|north|northern|southern|my|their|his|her)"
)
_BEFORE = re.compile(
    r"(?:\b(?:in|into|to|using|use|uses|via|speak|speaks|speaking|spoken|talk|read|reads|reading|understands?|"
    r"knows?|write|answer|"
    r"respond|reply|say|says|learn|learns|learning|study|studying|studies|teach|teaches|teach me|teach us|"
    r"practice|practise|"
    r"practicing|practising|translate|translated|languages?|tongue|only|either|whichever of|versus|vs|to|from \w+ "
    r"to|taking|fluent in|switch to|prefer|"
    r"prefers|want|wanted|like it|need|needs|try|auf|en|em|på|po|na|til|ins|au|in het|naar het|naar|op z'n|på)"
    rf"[\s:\"'“‘(]+(?:{_KIND}\s+){{0,3}}|[:=]\s*|[-–>→/]\s*|^\W*)$",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\s*(?:$|[^\w\s'’-]|['’](?!s\b)|[-–](?=\s|>)|(?:and|or|please|pls|with|about|that|for|to|on|using|but|then|"
    r"so|as|of|is|are|by|only|"
    r"instead|first|if|when|how|what|which|who|why|where|from|at|because|not|too|also|you|i|we|they|me|him|her|us|them|it|this|"
    r"these|those|the|a|"
    r"an|my|your|his|their|our|its|some|one|two|three|ten|any|all|would|should|could|do|does|can|look|looks|like|"
    r"here|now|today|"
    r"wanted|without|rather|since|in|into|well|fluently|style|por favor|bitte|s'il|svp|per favore|alstublieft|"
    r"graag|tack|"
    r"proszę|describing|explaining|telling|saying|asking|inviting|thanking|introducing|mentioning|including|"
    r"\d+)\b|[^\x00-\x7f])",
    re.IGNORECASE,
)
_OF_LANGUAGE = re.compile(
    r"(?:[\s-]+(?:and|or)[\s-]+\w+)?[\s-]+(?:[\w-]+ )?(?:translations?|versions?|sentences?|words?|phrases?|"
    r"expressions?|idioms?|"
    r"proverbs?|sayings?|letters?|poems?|poetry|essays?|e-?mails?|messages?|texts?|paragraphs?|songs?|lyrics|"
    r"greetings?|jokes?|"
    r"speech|dialogues?|dialogs?|conversations?|haikus?|slogans?|captions?|tweets?|subtitles?|equivalents?|terms?|"
    r"alphabet|"
    r"tongue[- ]twisters?|rhymes?|lullab(?:y|ies)|prayers?|quotes?|stor(?:y|ies)|summar(?:y|ies)|rendering|"
    r"original|script|"
    r"characters|transcript|transcription|orthography|lessons?|class(?:es)?|courses?|exams?|homework|exercises?|"
    r"worksheets?|"
    r"vocabulary|grammar|pronunciation|spelling|teachers?|tutors?|learners?|speakers?|speaking|language|dialects?|"
    r"textbooks?|"
    r"dictionar(?:y|ies)|verbs?|nouns?|adjectives?|pronouns?|articles? of|conjugations?|tenses?|synonyms?|spoken|"
    r"verse|sonnets?|"
    r"limericks?|article|answer|reply|response|output|description|only)\b|[\s-]+for\b(?=\s+[\"'“‘\w])",
    re.IGNORECASE,
)
POLITE = re.compile(
    r"\s*,?\s*(?:please|pls|por favor|bitte|s'il (?:te|vous) pla[iî]t|svp|per favore|alstublieft|graag|пожалуйста|"
    r"будь ласка|моля|proszę|prosím|molim|kiitos|lütfen|kérem|tack|takk)\b",
    re.IGNORECASE,
)
_LESSON = re.compile(
    r"\b(?:learn(?:s|er|ers|ing)?|lessons?|homework|exercises?|vocabulary|grammar|grammatical|conjugat\w+|"
    r"declin(?:e|ension)\w*|pronounc"
    r"\w+|spelling|spell|idioms?|flash ?cards?|tutors?|fluent(?:ly)?|fluency|beginners?|translat\w+|duolingo|cefr|"
    r"[abc][12] level|"
    r"mother tongue|native speakers?|tongue|verbs?|noun|grandm\w+ only|only (?:speaks?|reads?|understands?))\b",
    re.IGNORECASE,
)
_LINKED = re.compile(r"\s*(?:,|/|&|and|or|then|,\s*(?:and|or))\s*(?:then )?(?:in |into |to )?\s*", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?\n]")


_IN_THE = re.compile(
    r"\b(?:in|into|to|from|using|use|speak\w*|learn\w*|teach\w*|study\w*|translat\w*|write|read|know\w*)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
"""What stands before "the Hindi language" where it is asked for, not about."""


def asks(text: str, start: int, end: int) -> bool:
    """Returns whether a language's name from `start` to `end` asks for the language."""
    before, after = text[max(0, start - NEAR) : start], text[end : end + NEAR]
    made = _OF_LANGUAGE.match(after)
    named = made is not None and made[0].strip(" -").lower() == "language"
    if (made and (not named or _IN_THE.search(before))) or POLITE.match(after):
        return True
    if (
        _BEFORE.search(before)
        and _ENDS.match(after)
        and (before.strip() or after.lstrip()[:1] in ("", ":", ",", "-", "."))
    ):
        return True
    first = max((match.end() for match in _SENTENCE.finditer(text, 0, start)), default=0)
    last = _SENTENCE.search(text, end)
    return _LESSON.search(text, first, last.start() if last else len(text)) is not None


def asking(text: str, names: list[tuple[int, int, str]]) -> set[str]:
    """Returns the codes of the names that ask, of names given as start, end and code in order.

    A name that is linked to one that asks asks, too: "in French and Spanish".
    """
    found: set[str] = set()
    until = -1
    for start, end, code in names:
        linked = until >= 0 and _LINKED.fullmatch(text, until, start) and _ENDS.match(text, end)
        if linked or asks(text, start, end):
            found.add(code)
            until = end
    return found


PLACE = "\u00a7"  # stands for the name in a pattern, and before it in a text
OTHERS = {
    "en": (
        "",
        r"(?:^\W*|\b(?:tell (?:me|us)|know|explain|say|ask|wonder|of|in|and) )(?:who|which)\b|\b(?:where|why|when|"
        r"whether|how (?:many|much|come)|what (?:percent\w*|share|part|countr\w+|people))\b|"
        r"^\W*(?:do|does|did|can|is|are|was|were) (?!you\b|i\b|we\b)",
        r"sp[eo]a?k(?:s|ing|en)?\b",
    ),
    "de": ("", r"\b(?:wer|wo|wie viele?|welche\w*|warum|wieso|weshalb|seit wann)\b", r"spr[aeio]ch\w*|gesprochen"),
    "fr": ("", r"^\W*(?:\w+ )?qui\b|\b(?:ou|combien|quel\w*|pourquoi)\b", r"parl\w+"),
    "es": ("", r"\b(?:quien\w*|donde|cuant\w+|que (?:pais\w*|personas)|cual\w*|por que)\b", r"habla\w*"),
    "it": ("", r"\b(?:chi|dove|quant\w+|quali|perche)\b", r"parla\w*"),
    "pt": ("", r"\b(?:quem|onde|quant\w+|quais|que pais\w*|por que)\b", r"fala\w*"),
    "nl": ("", r"\b(?:wie|waar|hoeveel|welke|waarom)\b", r"spre\w+|gesproken"),
    "ru": (
        r"(?:\bна|\bпо|\bс|\bв)[ -](?:\w+ )?§|(?:уч|изуча)\w* (?:\w+ )?§|§\w* (?:перевод|текст|письм|слов|"
        r"стих|верси|фраз)",
        r"\b(?:кто|где|сколько|как(?:ие|ой|ая)|в каких|почему|зачем|когда)\b",
        r"говор\w+|разговарива\w+|владе\w+",
    ),
    "uk": (
        r"\b(?:на|по|з|мовою)[ -](?:\w+ )?§|§\w*ою\b|(?:вч|вивча)\w* §|§\w* (?:переклад|текст|лист|слов|вірш|мовою)",
        r"\b(?:хто|де|скільки|як(?:і|ий|а)|чому|коли)\b",
        r"говор\w+|розмовля\w+|володі\w+",
    ),
    "be": (r"\b(?:на|па|з)[ -](?:\w+ )?§", r"\b(?:хто|дзе|колькі|якія|чаму)\b", r"размаўля\w+|гавор\w+"),
    "bg": (r"\b(?:на|от) (?:\w+ )?§", r"\b(?:кой|къде|колко|кои|защо)\b", r"говор\w+"),
    "mk": (r"\b(?:на|од) (?:\w+ )?§", r"\b(?:кој|каде|колку|кои|зошто)\b", r"зборува\w*"),
    "sr": (
        r"\b(?:на|са|na|sa) (?:\w+ )?§",
        r"\b(?:ко|где|колико|зашто|ko|gde|koliko|zasto)\b",
        r"говор\w+|прича\w+|govor\w+|prica\w+",
    ),
    "hr": (r"\b(?:na|s|sa) (?:\w+ )?§", r"\b(?:tko|gdje|koliko|zašto)\b|^\W*(?:u )?koj\w+", r"govor\w+|priča\w+"),
    "pl": (
        r"\b(?:po|na|w|z) (?:język\w* )?§|(?:ucz|naucz)\w* (?:\w+ )?§|§\w* (?:tłumacz|wersj|tekst|słow|list|wiersz)",
        r"\b(?:kto|gdzie|il[eu]|dlaczego)\b|^\W*(?:w )?(?:któr|jaki)\w*",
        r"mówi\w*|rozmawia\w*|posługuj\w*",
    ),
    "cs": (
        r"\b(?:na|do|ve?|po|ze?) (?:\w+ )?§|§\w*(?:sky|cky)\b",
        r"\b(?:kdo|kde|kolik|proč)\b|^\W*(?:ve? )?kter\w+",
        r"mluv\w+|hovoř\w+",
    ),
    "sk": (
        r"\b(?:na|do|vo?|po|zo?) (?:\w+ )?§|§\w*(?:sky|cky)\b",
        r"\b(?:kto|kde|koľko|prečo)\b|^\W*(?:vo? )?ktor\w+",
        r"hovor\w+",
    ),
    "sl": (r"\b(?:v|na|po|iz) (?:\w+ )?§", r"\b(?:kdo|kje|koliko|zakaj)\b|^\W*(?:v )?kater\w+", r"govor\w+"),
    "sv": (
        r"\b(?:på|till|från|tala[r]?|prata[r]?|lär\w*(?: \w+)?) (?:\w+ )?§|§\w* (?:översätt|text|mening|brev|"
        r"dikt|ord)",
        r"\b(?:vem|vilka|var|hur många|varför|vilket)\b",
        r"tala[rs]?\b|prata[rs]?\b",
    ),
    "da": (
        r"\b(?:på|til|fra|tale[r]?|snakke[r]?|lær\w*(?: \w+)?) (?:\w+ )?§|§\w* (?:overs|tekst|sætning|brev|digt|ord)",
        r"\b(?:hvem|hvilke\w*|hvor|hvorfor)\b",
        r"tale[rs]?\b|snakke[rs]?\b",
    ),
    "no": (
        r"\b(?:på|til|fra|snakke[r]?|lær\w*(?: \w+)?) (?:\w+ )?§|§\w* (?:overs|tekst|setning|brev|dikt|ord)",
        r"\b(?:hvem|hvilke\w*|hvor|hvorfor)\b",
        r"snakke[rs]?\b|tale[rs]?\b",
    ),
    "fi": (
        r"§\w*(?:ksi|lla|llä)\b|§\w*n kiel(?:ellä|elle|eksi|estä)|§\w*(?:sta|stä) |(?:opi|opiskel|opet)\w* (?:\w+ )?§",
        r"\b(?:kuka|ketkä|missä|kuinka (?:moni|monta)|mitkä|miksi)\b",
        r"puhu\w+",
    ),
    "et": (r"§\w* keel(?:es|de|de)|(?:õpi|õpet)\w* §", r"\b(?:kes|kus|kui palju|miks)\b", r"räägi\w+"),
    "hu": (
        r"§\w*(?:ul|ül|ra|re|ról|ről)\b|§\w* nyelv(?:en|re|ű)|tan(?:ul|ít)\w* §|§\w* (?:fordít|szöveg|mondat|"
        r"levél|vers)",
        r"\b(?:ki|kik|hol|hány\w*|mely\w*|miért)\b",
        r"beszél\w*",
    ),
    "tr": (
        r"§\w*(?:ca|ce|ça|çe|ya|ye|dan|den)\b|§\w* dilin(?:de|e|den)|§\w* öğre\w+",
        r"\b(?:kim\w*|nerede|nerelerde|hangi|kaç|neden|niçin)\b",
        r"konuş\w+",
    ),
    "ro": (
        r"\b(?:în|din|in) (?:limba )?§|(?:înv|inv)\w+ §|§\w*ește\b",
        r"\b(?:cine|unde|câți|de ce)\b|^\W*(?:în )?care\b",
        r"vorb\w+",
    ),
    "el": (r"\b(?:στα|σε|στη|στην|από τα) §|μαθα\w+ (?:\w+ )?§", r"\b(?:ποι\w+|ποσοι|γιατι)\b|^\W*που\b", r"μιλ\w+"),
    "ca": (r"\b(?:en|al|del|de) §|apren\w+ §", r"\b(?:on|quant\w*|quins?|per que)\b|^\W*qui\b", r"parl\w+"),
    "zh": (
        "[用以说說讲講成为為到写寫学學]§|§(?:里|中)?(?:[写寫回答说說版]|翻[译譯]|怎[么麼]|作文|[诗詩]|句|词)",
        "[谁誰哪几幾]|多少|[为為]什[么麼]",
        "[说說讲講]|使用|[会會]",
    ),
    "ja": (
        "§(?:で|に|へ|の(?:文|詩|手紙|翻訳|単語|例文|歌))|§を(?:教え|学|勉強|練習|話せ)",
        "誰|だれ|どこ|どの|何人|何カ国|なぜ|どれ",
        "話|しゃべ|使",
    ),
    "ko": (
        "§(?:말)?(?:로|을 배|를 배)|§ ?(?:번역|문장|편지|시를|단어|할 수|하세요|할 줄)",
        "누가|누구|어디|어느|몇|왜",
        "말하|사용|쓰[이는]",
    ),
    "ar": (
        "(?:ب|إلى |الى |من |تعلم )(?:ال)?(?:لغة )?(?:ال)?§|باللغة (?:ال)?§",
        "(?:^| )(?:من|أين|كم|ما|لماذا|اين) ",
        r"[يت]تحدث\w*|[يت]تكلم\w*",
    ),
    "he": ("[בלמ]§", r"\b(?:מי|איפה|היכן|כמה|באיזו|באילו|למה)\b", r"דובר\w*|מדבר\w*"),
    "fa": ("(?:به|از) (?:زبان )?§", "چه کسی|کجا|چند|چرا|کدام|کسانی", "صحبت|حرف|سخن"),
    "ur": ("§ (?:زبان )?(?:میں|سے|کا|کی)", "کون|کہاں|کتنے|کس|کیوں", r"بول\w*"),
    "hi": ("§ (?:भाषा )?(?:में|से|का|की)", "कौन|कहाँ|कहां|कितने|किस|किन|क्यों", "बोल"),
    "id": (
        r"\b(?:dalam|ke|dari|pakai|menggunakan|dengan|belajar|berbahasa) (?:bahasa )?§|(?:puisi|kalimat|"
        r"surat|kata) (?:bahasa )?§",
        r"\b(?:siapa|di ?mana|berapa|mana|mengapa|kenapa)\b",
        "bicara|bertutur|berbahasa|bercakap|menggunakan|penutur",
    ),
    "vi": (
        r"\b(?:bằng|sang|ra|từ|qua|học) (?:tiếng )?§|(?:thơ|câu|thư|từ) tiếng §",
        r"\b(?:ai|ở đâu|bao nhiêu|nước nào|tại sao|những ai)\b",
        r"\b(?:nói|dùng|sử dụng)\b",
    ),
    "th": ("(?:เป็น|ใน|ด้วย|จาก|เรียน|พูด)(?:ภาษา)?§", "ใคร|ที่ไหน|ประเทศ(?:ใด|ไหน|อะไร)|กี่|ทำไม", "พูด|ใช้"),
}  # fmt: skip
"""By language: what asks for a language in it, the words of a question, and the verbs of speaking.

Where the first is empty, `asks` and the prepositions of that language decide.
"""
OTHERS |= {"nb": OTHERS["no"], "nn": OTHERS["no"], "ms": OTHERS["id"], "bs": OTHERS["hr"], "sh": OTHERS["sr"]}
_ANY_ORDER = frozenset(["tr", "zh", "ja", "ko", "hi", "ur", "fa", "hu"])  # the word of the question may come last
_BETWEEN = r"[^,\uff0c\u3001.]{0,24}"


def asks_in(text: str, language: str) -> bool:
    """Returns whether a sentence asks for the language whose name follows each `PLACE` in it.

    Args:
        text: the sentence, plain.
        language: its language, one of `OTHERS`.
    """
    pattern = _patterns(language)[0]
    return pattern is not None and pattern.search(text) is not None and not is_about_speakers(text, language)


def is_about_speakers(text: str, language: str) -> bool:
    """Returns whether a plain sentence asks who speaks the language at `PLACE`, or where or why it is spoken."""
    _, question, speaking = _patterns(language)
    found = speaking.search(text)
    if found is None:
        return False
    return question.search(text, 0, len(text) if language in _ANY_ORDER else found.start()) is not None


@cache
def _patterns(language: str) -> tuple[re.Pattern[str] | None, re.Pattern[str], re.Pattern[str]]:
    asking, question, speaking = map(_plain_pattern, OTHERS[language])
    near = rf"(?:{speaking}){_BETWEEN}{PLACE}|{PLACE}{_BETWEEN}(?:{speaking})"
    return re.compile(asking) if asking else None, re.compile(question), re.compile(near)


def _plain_pattern(pattern: str) -> str:
    """A pattern with its letters as `plain` writes them."""
    return "".join(c for c in unicodedata.normalize("NFKD", pattern) if not unicodedata.combining(c))
