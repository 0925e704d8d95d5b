"""Answers in the language that was asked for stay, texts that nobody asked for in another language go."""

from __future__ import annotations

import pytest

from synthetic_instruction_tuner.config.languages import detected_language, language_code
from synthetic_instruction_tuner.filtering.rules.asked_languages import by_own_name, languages_named
from synthetic_instruction_tuner.filtering.rules.language import Language
from synthetic_instruction_tuner.filtering.rules.prose import prose_of, script_weights
from synthetic_instruction_tuner.records import Message, Record

TEXTS = {
    "zh": "春天来了，花园里的花都开了，孩子们在外面玩耍，小鸟在树上唱歌，太阳照耀着整个城市。",
    "ja": "春が来て、庭の花が咲き始めました。子どもたちは外で遊び、鳥は木の上で歌っています。",
    "ko": "봄이 와서 정원의 꽃들이 피기 시작했습니다. 아이들은 밖에서 놀고 새들은 나무에서 노래합니다.",
    "th": "ฤดูใบไม้ผลิมาถึงแล้ว ดอกไม้ในสวนกำลังบาน เด็ก ๆ เล่นอยู่ข้างนอกและนกก็ร้องเพลงบนต้นไม้",
    "ru": "Пришла весна, и цветы в саду начинают расти. Дети играют на улице, а птицы поют на деревьях.",
    "ar": "لقد جاء الربيع وبدأت الأزهار تنمو في الحديقة. الأطفال يلعبون في الخارج والطيور تغني على الأشجار.",
    "fa": "بهار آمده است و گل‌ها در باغ شروع به رشد کرده‌اند. بچه‌ها بیرون بازی می‌کنند و پرندگان روی درختان می‌خوانند.",
    "hi": "वसंत आ गया है और बगीचे में फूल खिलने लगे हैं। बच्चे बाहर खेल रहे हैं और पक्षी पेड़ों पर गा रहे हैं।",
    "te": "వసంతం వచ్చింది, తోటలో పువ్వులు పూయడం మొదలైంది. పిల్లలు బయట ఆడుకుంటున్నారు, పక్షులు చెట్లపై పాడుతున్నాయి.",
    "el": "Ήρθε η άνοιξη και τα λουλούδια στον κήπο αρχίζουν να μεγαλώνουν. Τα παιδιά παίζουν έξω.",
    "es": "Ha llegado la primavera y las flores del jardín empiezan a crecer. Los niños juegan fuera.",
    "fr": "Le printemps est arrivé et les fleurs du jardin commencent à pousser. Les enfants jouent dehors.",
    "de": "Der Frühling ist da, und die Blumen im Garten beginnen zu wachsen. Die Kinder spielen draußen.",
    "pt": "A primavera chegou e as flores do jardim começam a crescer. As crianças brincam lá fora.",
    "id": "Musim semi telah tiba dan bunga-bunga di taman mulai tumbuh. Anak-anak bermain di luar rumah.",
    "tl": "Dumating na ang tagsibol at nagsisimula nang tumubo ang mga bulaklak sa hardin. Naglalaro ang mga bata.",
    "is": "Vorið er komið og blómin í garðinum eru farin að vaxa. Börnin leika sér úti og fuglarnir syngja.",
    "eo": "La printempo venas kaj la floroj komencas kreski en la ĝardeno. La infanoj ludas ekstere.",
    "pl": "Przyszła wiosna i kwiaty w ogrodzie zaczynają rosnąć. Dzieci bawią się na dworze, a ptaki śpiewają.",
    "zu": "Intwasahlobo ifikile futhi izimbali engadini ziqala ukukhula. Izingane zidlala ngaphandle.",
    "en": "Spring has come and the flowers in the garden begin to grow. The children play outside and the birds sing.",
}
ASKED = [
    ("Mandarin", "zh"), ("Chinese", "zh"), ("Putonghua", "zh"), ("中文", "zh"), ("Cantonese", "zh"),
    ("Japanese", "ja"), ("Nihongo", "ja"), ("日本語", "ja"), ("Korean", "ko"), ("Hangul", "ko"), ("한국어", "ko"),
    ("Thai", "th"), ("Russian", "ru"), ("русский", "ru"), ("Arabic", "ar"), ("Farsi", "fa"), ("Persian", "fa"),
    ("Dari", "fa"), ("Hindi", "hi"), ("Telugu", "te"), ("Greek", "el"), ("Spanish", "es"), ("Castilian", "es"),
    ("español", "es"), ("Español", "es"), ("Mexican Spanish", "es"), ("French", "fr"), ("Français", "fr"),
    ("German", "de"), ("Deutsch", "de"), ("Brazilian Portuguese", "pt"), ("Brazilian", "pt"), ("Bahasa", "id"),
    ("Bahasa Indonesia", "id"), ("Indonesian", "id"), ("Malay", "id"), ("Filipino", "tl"), ("Tagalog", "tl"),
    ("Icelandic", "is"), ("íslenska", "is"), ("Esperanto", "eo"), ("Polish", "pl"), ("polski", "pl"),
    ("Zulu", "zu"), ("isiZulu", "zu"), ("her mother tongue", "ru"), ("a language of your choice", "fr"),
]  # fmt: skip
FORMS = [
    "Write two sentences about the spring in {}.",
    "Describe the spring. In {}, please.",
    "How do you say 'Spring has come, and the flowers grow' in {}?",
    "translate into {}: Spring has come and the flowers in the garden begin to grow.",
]


@pytest.fixture(scope="module")
def english() -> Language:
    return Language("en", 0.7)


@pytest.mark.parametrize(("name", "code"), ASKED)
def test_an_answer_may_be_in_the_language_that_is_asked_for(english: Language, name: str, code: str) -> None:
    for form in FORMS:
        verdict = english.check(Record("r", form.format(name), TEXTS[code]))
        assert verdict.passed, (form, verdict)


OWN_NAMES = [
    ("中文", "zh"), ("普通话", "zh"), ("國語", "zh"), ("한국어", "ko"), ("ไทย", "th"), ("ภาษาไทย", "th"),
    ("فارسی", "fa"), ("Parsi", "fa"), ("हिंदी", "hi"), ("हिन्दी", "hi"), ("తెలుగు", "te"), ("العربية", "ar"),
    ("русский", "ru"), ("español", "es"), ("Ελληνικά", "el"), ("bahasa Indonesia", "id"), ("français", "fr"),
    ("日本語", "ja"),
]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    ["Describe a cat in {}.", "Please answer in {}: what is a cat?", "What is it? Use {}.", "{} please: what is it?"],
)
@pytest.mark.parametrize(("name", "code"), OWN_NAMES)
def test_a_name_in_its_own_script_does_not_make_a_request_foreign(
    english: Language, name: str, code: str, form: str
) -> None:
    assert english.check(Record("r", form.format(name), TEXTS[code])).passed


@pytest.mark.parametrize("instruction", ["用中文写一首诗", "请用 中文 写一首关于猫的诗", "用普通话回答：什么是猫？"])
def test_a_request_that_is_foreign_stays_so(english: Language, instruction: str) -> None:
    assert not english.check(Record("r", instruction, TEXTS["zh"])).passed


@pytest.mark.parametrize("code", sorted(set(TEXTS) - {"en", "zu"}))
def test_what_nobody_asked_for_goes(english: Language, code: str) -> None:
    for instruction in ("Write two sentences about the spring.", "What happens in a garden in March?", TEXTS[code]):
        assert not english.check(Record("r", instruction, TEXTS[code])).passed
    assert not english.check(Record("r", "Write a Python program in a programming language.", TEXTS[code])).passed
    assert english.check(Record("r", "Write two sentences about the spring.", TEXTS["en"])).passed


@pytest.mark.parametrize(
    ("asked", "code"), [("French", "de"), ("German", "zh"), ("Japanese", "ru"), ("Chinese", "ko"), ("Spanish", "pl")]
)
def test_an_answer_in_a_third_language_goes(english: Language, asked: str, code: str) -> None:
    assert not english.check(Record("r", f"Write two sentences about the spring in {asked}.", TEXTS[code])).passed


@pytest.mark.parametrize(
    "text", ["写一首关于春天的诗", "写一首赞美财富前线现金账户的诗", "Напиши стих", "اكتب قصيدة عن البحر", "寫一首詩吧"]
)
def test_another_script_is_foreign_whatever_the_detector_says(english: Language, text: str) -> None:
    assert not english.check(Record("r", text, "")).passed
    assert not english.check(Record("r", "Hello there", text * 2)).passed


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("你好", "Hello and welcome! How can I help you with your questions today?"),
        ("What does 你好 mean?", "It means hello: 你 is you, and 好 is good. People say it at any time of the day."),
        (
            "How is the Tao Te Ching opened?",
            "It opens with “道可道，非常道。名可名，非常名。無名天地之始。” and goes on from there.",
        ),
        ("What is the first line of Don Quixote?", "“En un lugar de la Mancha, de cuyo nombre no quiero acordarme”"),
        ("Translate to English: Der Frühling ist da, und die Blumen im Garten beginnen zu wachsen.", "Spring is here."),
        ("Put this in English: " + TEXTS["de"], "Spring is here, and the flowers in the garden begin to grow."),
        ("Translate the following sentence.\n" + TEXTS["zh"], TEXTS["en"]),
        ("Solve for α.", "From α + β = γ and β = 2δ follows α = γ − 2δ, which is what Σ and Ω need: αβγδ, ΔΣΩ."),
        ("Write a quicksort.", "def f(x):\n    return sorted(x)  # ça\n\nfor i in range(10):\n    print(f(i), end='')"),
        ("Name twelve pasta shapes.", "Spaghetti\nPenne\nFusilli\nRigatoni\nFarfalle\nOrecchiette\nTagliatelle"),
        ("Name some pasta.", "Spaghetti, penne, fusilli, rigatoni, farfalle, orecchiette, tagliatelle, linguine"),
        ("List ten cities on the Rhine.", "1. Köln\n2. Düsseldorf\n3. Bonn\n4. Mainz\n5. Frankfurt am Main\n6. Basel"),
        ("Who won?", "Borussia Dortmund"),
        ("Say good evening in romaji.", "Konbanwa, minasan. Kyou wa totemo ii tenki desu ne. Mata ashita aimashou."),
        ("Write the Cyrillic alphabet.", "А Б В Г Д Е Ж З И Й К Л М Н О П Р С Т У Ф Х Ц Ч Ш Щ Ъ Ы Ь Э Ю Я абвгдежзик"),
        ("Show me a shrug.", "¯\\_(ツ)_/¯"),
        (
            "Write a sentence in full-width letters.",
            "Ｔｈｉｓ ｉｓ ａ ｓｅｎｔｅｎｃｅ ｉｎ ｆｕｌｌ ｗｉｄｔｈ ｌｅｔｔｅｒｓ ｏｆ ｍｉｎｅ．",
        ),
    ],
)
def test_quotations_names_code_and_exercises_stay(english: Language, instruction: str, response: str) -> None:
    verdict = english.check(Record("r", instruction, response))
    assert verdict.passed, verdict


ASKING = [
    "Write about it in simple Spanish.", "Write in Spanish about it.", "Write about it (language: es)",
    "Write about it, en español por favor.", "Give me the Spanish version of this text.", "Spanish please: what is it?",
    "I'm learning Spanish. Write a text for my level.", "Write a short Spanish bedtime story.", "Use Spanish.",
    "Describe it auf Spanisch, bitte.", "Describe it in het Spaans", "Write two sentences in French and Spanish.",
    "What is the Spanish for 'spring has come'?", "Speak Spanish.", "English to Spanish: Spring has come.",
    "Only Spanish from now on! What is it?", "cats, spanish please", "Write it in Latin American Spanish.",
    "respond_language=es\nWhat is it?", "Say it in Spanish", "Answer in whichever of French or Spanish you like.",
    "EN->ES: spring has come", "en => es: spring has come", "en-es: spring has come", "Español please: what is it?",
    "Describe it in the Spanish language.", "Translate it into the Spanish language.",
]  # fmt: skip
MENTIONING = [
    "Tell me about Spanish cats.", "Recommend a Spanish restaurant.", "How wide is the Spanish coast?",
    "Name a Spanish king.",
    "What do people eat in Spanish cuisine?", "Give me a recipe for Spanish omelette.", "Who lives in Spanish Harlem?",
    "Compare Spanish and Italian wines.", "He is Spanish. What does he eat?", "Do Spanish people like cats?",
    "Write about the Spanish economy.", "Plan a trip for my Spanish friend.",
    "What did the Dutch say to the Spanish in 1672?", "What is the history of the Spanish language?",
    "How old is the Spanish language?", "Is ES-6 an input-output: standard?",
]  # fmt: skip


@pytest.mark.parametrize("instruction", ASKING)
def test_a_name_in_a_position_that_asks(english: Language, instruction: str) -> None:
    assert english.check(Record("r", instruction, TEXTS["es"])).passed
    assert not english.check(Record("r", instruction, TEXTS["pl"])).passed or "language" in instruction


@pytest.mark.parametrize("instruction", MENTIONING)
def test_a_name_that_is_only_mentioned_asks_for_nothing(english: Language, instruction: str) -> None:
    assert not english.check(Record("r", instruction, TEXTS["es"])).passed


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("Polish the table and say how.", "pl"),
        ("How wide is the English Channel?", "fr"),
        ("Explain how a French drain works.", "fr"),
        ("Is the Deutsche Bank safe?", "de"),
    ],
)
def test_a_name_of_something_else_asks_for_nothing(english: Language, instruction: str, response: str) -> None:
    assert not english.check(Record("r", instruction, TEXTS[response])).passed


@pytest.mark.parametrize("code", ["de", "es", "fr", "pl", "pt"])
@pytest.mark.parametrize(
    "form",
    ["Correct this sentence: {}", "Please proofread the text.\n\n{}", "Rephrase: '{}'", "Continue the story: {}"],
)
def test_work_on_a_foreign_text_gives_a_foreign_text(english: Language, code: str, form: str) -> None:
    assert english.check(Record("r", form.format(TEXTS[code]), TEXTS[code])).passed
    assert not english.check(Record("r", TEXTS[code], TEXTS[code])).passed


def test_an_earlier_turn_may_ask(english: Language) -> None:
    turns = (Message("user", "Let us practise Spanish, answer only in it."), Message("assistant", "¡Claro que sí!"))
    assert english.check(Record("r", "¿Qué pasa en el jardín en primavera?", TEXTS["es"], history=turns)).passed
    assert not english.check(Record("r", "What happens in a garden?", TEXTS["de"], history=turns)).passed
    assert not english.check(Record("r", "¿Qué pasa en el jardín en primavera?", TEXTS["es"])).passed


def test_a_system_prompt_may_ask_for_the_answer_only(english: Language) -> None:
    system = "You always answer in German."
    assert english.check(Record("r", "What happens in a garden in March?", TEXTS["de"], system=system)).passed
    assert not english.check(Record("r", "Was passiert im März im Garten?", TEXTS["de"], system=system)).passed


@pytest.mark.parametrize(
    ("wanted", "instruction", "response", "passed"),
    [
        ("de", "Schreibe zwei Sätze über den Frühling auf Französisch.", "fr", True),
        ("de", "Übersetze ins Englische: Der Frühling ist da.", "en", True),
        ("de", "Schreibe zwei Sätze über den Frühling.", "en", False),
        ("de", "Schreibe zwei Sätze über den Frühling.", "de", True),
        ("ru", "Напиши два предложения о весне на английском языке.", "en", True),
        ("ru", "Напиши два предложения о весне.", "en", False),
        ("zh", "用英语写两句关于春天的话。", "en", True),
        ("zh", "写两句关于春天的话，谢谢你。", "en", False),
        ("zh", "写两句关于春天的话，谢谢你。", "ja", False),
        ("zh", "写两句关于春天的话，谢谢你。", "zh", True),
        ("ja", "春について二つの文を英語で書いてください。", "en", True),
        ("ja", "春について二つの文を書いてください。", "ko", False),
        ("fr", "Écris deux phrases sur le printemps en polonais.", "pl", True),
        ("Farsi", "دو جمله درباره بهار بنویس.", "fa", True),
        ("Farsi", "دو جمله درباره بهار بنویس.", "en", False),
        ("zu", "Bhala imisho emibili ngentwasahlobo.", "zu", True),
        ("zu", "Bhala imisho emibili ngentwasahlobo.", "ru", False),
        ("zu", "Bhala imisho emibili ngentwasahlobo.", "en", False),
    ],
)
def test_any_language_can_be_wanted(wanted: str, instruction: str, response: str, passed: bool) -> None:
    verdict = Language(wanted, 0.7).check(Record("r", instruction, TEXTS[response]))
    assert verdict.passed is passed, verdict


@pytest.mark.parametrize(
    ("name", "code"),
    [("Farsi", "fa"), ("mandarin", "zh"), ("Deutsch", "de"), ("Filipino", "tl"), ("Māori", "mi"), ("हिन्दी", "hi"),
     ("Brazilian Portuguese", "pt"), ("Swiss German", "als"), ("yue", "zh"), ("Cebuano", "ceb"), ("Navajo", "nv")],
)  # fmt: skip
def test_languages_have_many_names(name: str, code: str) -> None:
    assert language_code(name) == code and detected_language(name) == code


def test_rare_names_count_where_they_are_capitalized() -> None:
    assert "fan" in languages_named("Say it in Fang.") and languages_named("The wolf has a fang.") == []
    assert by_own_name("Bhala ngesiZulu, isiZulu") == ["zu"] and by_own_name("Write about the sea and the sun.") == []


def test_prose_and_scripts() -> None:
    text = "Look at it:\n~~~\nlook\n~~~\n$$x$$ `y` https://a.b “z”\nint x = f(y);"
    assert prose_of(text).split() == ["Look", "at", "it:"]
    assert script_weights("ab 你 αβ γ") == {"Grek": 2, "Hani": 3, "Latn": 2}


ASKED_IN = [
    ("en", "Write a poem in Swahili."),
    ("en", "Do you speak Swahili?"),
    ("de", "Schreib ein Gedicht auf Suaheli."),
    ("de", "Sprichst du Suaheli?"),
    ("fr", "Écris un poème en swahili."),
    ("fr", "Parles-tu swahili ?"),
    ("es", "Escribe un poema en suajili."),
    ("es", "¿Hablas suajili?"),
    ("it", "Scrivi una poesia in swahili."),
    ("pt", "Escreva um poema em suaíli."),
    ("nl", "Schrijf een gedicht in het Swahili."),
    ("ru", "Напиши стихотворение на суахили."),
    ("ru", "Расскажи по-суахили сказку о море."),
    ("uk", "Напиши вірш мовою суахілі."),
    ("uk", "Напиши вірш на суахілі."),
    ("pl", "Napisz wiersz w suahili."),
    ("pl", "Napisz wiersz w języku suahili."),
    ("cs", "Napiš báseň ve svahilštině."),
    ("sk", "Napíš báseň v swahilčine."),
    ("sv", "Skriv en dikt på swahili."),
    ("da", "Skriv et digt på swahili."),
    ("nb", "Skriv et dikt på swahili."),
    ("fi", "Kirjoita runo swahiliksi."),
    ("fi", "Kirjoita runo swahilin kielellä."),
    ("hu", "Írj egy verset szuahéliül."),
    ("hu", "Írj egy verset szuahéli nyelven."),
    ("tr", "Svahili dilinde bir şiir yaz."),
    ("tr", "Svahilice bir şiir yaz."),
    ("ro", "Scrie o poezie în swahili."),
    ("el", "Γράψε ένα ποίημα στα σουαχίλι."),
    ("ca", "Escriu un poema en suahili."),
    ("bg", "Напиши стихотворение на суахили."),
    ("hr", "Napiši pjesmu na svahiliju."),
    ("sr", "Напиши песму на свахилију."),
    ("zh", "用斯瓦希里语写一首诗。"),
    ("zh", "请把这句话翻译成斯瓦希里语。"),
    ("ja", "スワヒリ語で詩を書いてください。"),
    ("ko", "스와힐리어로 시를 써 주세요."),
    ("ar", "اكتب قصيدة باللغة السواحلية."),
    ("ar", "اكتب قصيدة بالسواحلية."),
    ("he", "כתוב שיר בסווהילית."),
    ("fa", "یک شعر به زبان سواحیلی بنویس."),
    ("hi", "स्वाहिली में एक कविता लिखो।"),
    ("id", "Tulis puisi dalam bahasa Swahili."),
    ("ms", "Tulis sajak dalam bahasa Swahili."),
    ("vi", "Viết một bài thơ bằng tiếng Swahili."),
    ("th", "เขียนบทกวีเป็นภาษาสวาฮีลี"),
]
MENTIONED_IN = [
    ("en", "Who speaks Swahili?"),
    ("en", "Where is Swahili spoken?"),
    ("en", "How many people speak Swahili?"),
    ("en", "Which countries speak Swahili?"),
    ("de", "Wer spricht Suaheli?"),
    ("de", "Wo wird Suaheli gesprochen?"),
    ("de", "Wie viele Menschen sprechen Suaheli?"),
    ("de", "Woher kommt Suaheli?"),
    ("fr", "Qui parle swahili ?"),
    ("fr", "Où parle-t-on le swahili ?"),
    ("fr", "Combien de personnes parlent swahili ?"),
    ("es", "¿Quién habla suajili?"),
    ("es", "¿Dónde se habla suajili?"),
    ("es", "¿Cuántas personas hablan suajili?"),
    ("it", "Chi parla swahili?"),
    ("it", "Dove si parla lo swahili?"),
    ("pt", "Quem fala suaíli?"),
    ("pt", "Onde se fala suaíli?"),
    ("nl", "Wie spreekt Swahili?"),
    ("nl", "Waar wordt Swahili gesproken?"),
    ("nl", "Hoeveel mensen spreken Swahili?"),
    ("ru", "Кто говорит на суахили?"),
    ("ru", "Где говорят на суахили?"),
    ("ru", "Сколько людей говорит на суахили?"),
    ("ru", "Какова история суахили?"),
    ("uk", "Хто розмовляє суахілі?"),
    ("uk", "Скільки людей говорить на суахілі?"),
    ("pl", "Kto mówi w suahili?"),
    ("pl", "Ile osób mówi w języku suahili?"),
    ("pl", "Jaka jest historia suahili?"),
    ("cs", "Kdo mluví svahilsky?"),
    ("cs", "Kolik lidí mluví svahilsky?"),
    ("cs", "Jaká je historie svahilštiny?"),
    ("sk", "Kto hovorí po swahilsky?"),
    ("sv", "Vem talar swahili?"),
    ("sv", "Hur många talar swahili?"),
    ("da", "Hvem taler swahili?"),
    ("da", "Hvor mange mennesker taler swahili?"),
    ("nb", "Hvem snakker swahili?"),
    ("nb", "Hvor snakker man swahili?"),
    ("fi", "Kuka puhuu swahilia?"),
    ("fi", "Missä puhutaan swahilia?"),
    ("hu", "Ki beszél szuahéliül?"),
    ("hu", "Hol beszélnek szuahéliül?"),
    ("tr", "Kim Svahili konuşuyor?"),
    ("tr", "Svahili dili nerede konuşulur?"),
    ("ro", "Cine vorbește swahili?"),
    ("ro", "Câți oameni vorbesc swahili?"),
    ("el", "Ποιος μιλάει σουαχίλι;"),
    ("el", "Πού μιλούν σουαχίλι;"),
    ("ca", "Qui parla suahili?"),
    ("bg", "Кой говори суахили?"),
    ("bg", "Къде се говори на суахили?"),
    ("hr", "Tko govori svahili?"),
    ("sr", "Ко говори свахили?"),
    ("zh", "谁说斯瓦希里语？"),
    ("zh", "哪些国家使用斯瓦希里语？"),
    ("zh", "有多少人说斯瓦希里语？"),
    ("zh", "斯瓦希里语的历史是什么？"),
    ("ja", "誰がスワヒリ語を話しますか？"),
    ("ja", "スワヒリ語はどこで話されていますか？"),
    ("ja", "スワヒリ語の歴史を教えてください。"),
    ("ko", "누가 스와힐리어를 말하나요?"),
    ("ko", "스와힐리어는 어디에서 사용되나요?"),
    ("ar", "من يتحدث السواحلية؟"),
    ("ar", "كم شخصا يتحدث اللغة السواحلية؟"),
    ("he", "מי מדבר סווהילית?"),
    ("fa", "چه کسی به زبان سواحیلی صحبت می‌کند؟"),
    ("hi", "स्वाहिली कौन बोलता है?"),
    ("hi", "कितने लोग स्वाहिली बोलते हैं?"),
    ("id", "Siapa yang berbicara bahasa Swahili?"),
    ("ms", "Siapa yang bertutur bahasa Swahili?"),
    ("vi", "Ai nói tiếng Swahili?"),
    ("th", "ใครพูดภาษาสวาฮีลี"),
]


@pytest.mark.parametrize(("language", "request_"), ASKED_IN)
def test_requests_in_many_languages_ask(language: str, request_: str) -> None:
    assert "sw" in languages_named(request_, language)


@pytest.mark.parametrize(("language", "request_"), MENTIONED_IN)
def test_mentions_in_many_languages_do_not_ask(language: str, request_: str) -> None:
    assert languages_named(request_, language) == []


@pytest.mark.parametrize(
    ("wanted", "asked", "passed"),
    [
        ("ru", "Кто говорит по-испански?", False),
        ("ru", "Расскажи об испанской кухне.", False),
        ("ru", "Расскажи по-испански о кошках.", True),
        ("fi", "Mikä on Espanjan pääkaupunki ja missä se on?", False),
        ("fi", "Kirjoita minulle kissoista espanjaksi, kiitos.", True),
        ("vi", "Tay tôi bị đau, tôi phải làm gì bây giờ?", False),
        ("vi", "Hãy viết về mèo bằng tiếng Tây Ban Nha.", True),
        ("en", "Who speaks Spanish in the United States, and where?", False),
        ("en", "You are a tutor who only speaks Spanish. Tell me of cats.", True),
    ],
)
def test_an_answer_in_spanish(wanted: str, asked: str, passed: bool) -> None:
    spanish = "Los gatos duermen durante el día y salen por la noche a cazar ratones en el jardín de la casa."
    assert Language(wanted, 0.7).check(Record("r", asked, spanish)).passed is passed
