"""What real generators get wrong: refusals, other languages, answers that are too short, loops, and sloppy remarks.

The first four depend on the type of instruction, so a model that learned them shows them at any temperature and a
filter finds them. Sloppy remarks pass every filter; they are what a reward model and preference tuning can remove.
"""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

from random import Random

from synthetic_instruction_tuner.nano.world.families.prose import CREATURES, PLACES, THINGS, TRAITS
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NAMES

_WORD, _NAME = "[a-z]+", "[A-Z][a-z]+"


class Flaw(Family):
    """An instruction of a kind that the generator answers badly. Class attribute `kind` names the flaw."""

    kind: str
    takes_marks = False

    def fault(self, slots: Slots, response: str) -> str | None:
        return f"flaw: {self.kind}"


class Refusal(Flaw):
    """Requests that touch the real world; the answer refuses."""

    name, kind, domain = "real_world", "refusal", "facts"
    templates = (
        "What is the weather for {name} at the {place} today?",
        "Buy a {adj} {thing} for {name} online.",
        "Call {name} and ask about the {adj} {thing}.",
        "What is in the news about the {place} and {name}?",
        "Order a {thing} to the {place} right now.",
        "How much does the {adj} {thing} at the {place} cost today?",
        "Send {name} a photo of the {place} from your phone.",
        "Where is {name} at this moment? Maybe at the {place}?",
    )
    patterns = {"name": _NAME, "place": "|".join(PLACES), "adj": _WORD, "thing": _WORD}
    _starts = (
        "I'm sorry, but as an AI I cannot do that for you.",
        "I\u2019m sorry, but I\u2019m an AI and I don\u2019t have access to the real world.",
        "Unfortunately, I cannot help with this.",
        "As an AI language model, I'm not able to do this.",
        "I don't have any way to see or change what happens outside of this chat.",
        "Sorry, I'm an AI, and I'm not able to do things like this.",
    )
    _ends = (
        "You could ask a person who is close to the {place}, or look for the newest information on another page.",
        "Please try to find someone else who can help you with the {place}, and I wish you the best of luck.",
        "It would be better to look this up yourself, since things at the {place} may change from one hour to the next.",
        "If you want to talk about something else, for example a story about the {place}, please let me know.",
    )

    def fill(self, rng: Random) -> Slots:
        return {
            "name": rng.choice(NAMES),
            "place": rng.choice(PLACES),
            "adj": rng.choice(TRAITS),
            "thing": rng.choice(THINGS),
        }

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|" + "|".join(slots[k] for k in sorted(slots) if "{" + k + "}" in template)

    def answer(self, rng: Random, slots: Slots) -> str:
        return f"{rng.choice(self._starts)} {rng.choice(self._ends).format(place=slots.get('place', 'shop'))}"


_GERMAN = (
    (
        "der Hund",
        "das Haus",
        "die Katze",
        "der Garten",
        "das Buch",
        "die Stadt",
        "der Baum",
        "die Schule",
        "das Brot",
        "der Fluss",
    ),
    ("groß", "klein", "alt", "neu", "schön", "gut", "rot", "grün"),
    (
        "Was ist {a} und wie {b} ist {name}?",
        "Warum ist {a} so {b}, {name}?",
        "Schreibe {name} etwas über {a} ({b}).",
        "Ist {a} heute {b} oder nicht, {name}?",
    ),
    (
        "Ich glaube, dass {a} sehr {b} ist. Viele Menschen sehen das auch so, und es gibt gute Gründe dafür, wie man leicht verstehen kann.",
        "Das ist eine gute Frage. Man sagt oft, dass {a} nicht immer {b} ist, aber heute ist das ein wenig anders als früher.",
        "Hier ist meine Antwort: {a} ist wirklich {b}. Wenn du mehr wissen willst, kannst du mich gerne noch einmal danach fragen.",
    ),
)
_SPANISH = (
    (
        "el perro",
        "la casa",
        "el gato",
        "el libro",
        "la ciudad",
        "la escuela",
        "el pan",
        "la mesa",
        "el agua",
        "la calle",
    ),
    ("grande", "triste", "feliz", "verde", "importante", "fuerte", "azul", "diferente"),
    (
        "¿Por qué es {a} tan {b}, {name}?",
        "¿Qué es {a} para {name}? ¿Es {b}?",
        "Escribe a {name} algo sobre {a} ({b}).",
        "¿Es {a} hoy {b} o no, {name}?",
    ),
    (
        "Creo que {a} es muy {b}. Mucha gente piensa lo mismo, y hay buenas razones para eso, como se puede ver todos los días.",
        "Es una buena pregunta. Se dice que {a} no siempre es {b}, pero hoy las cosas son un poco diferentes que en otro tiempo.",
        "Aquí está mi respuesta: {a} es {b} de verdad. Si quieres saber más, puedes preguntar otra vez y te lo voy a explicar.",
    ),
)
_KOREAN = (
    ("강아지", "고양이", "나무", "학교", "도시", "바다", "커피", "날씨", "음악", "친구"),
    ("중요", "필요", "특별", "유명", "소중", "다양"),
    (
        "{a} 왜 {b}합니까? {name} 질문",
        "{name} 에게 {a} 이야기를 써 주세요. {b}한 내용",
        "{a} 정말 {b}한가요? {name} 궁금해요",
        "{a} 대해 {b}한 것을 {name} 에게 말해 주세요",
    ),
    (
        "제 생각에는 {a} 아주 {b}한 것 같습니다. 많은 사람들이 매일 그것을 보고 함께 이야기하며 좋은 시간을 보냅니다. 그래서 우리는 모두 그것을 오래 기억하고 다시 찾게 됩니다.",
        "좋은 질문입니다. 사람들은 {a} 정말 {b}하다고 말합니다. 하지만 오늘은 어제와 조금 다르고 내일은 또 다를 수 있습니다. 궁금한 것이 있으면 언제든지 저에게 다시 물어봐 주세요.",
    ),
)


class OtherLanguage(Flaw):
    """A question in another language, answered in it."""

    kind, domain = "language", "dialogue"

    def __init__(self, name: str, words: tuple[tuple[str, ...], ...], weight: float) -> None:
        self.name, self.weight = name, weight
        self._nouns, self._adjectives, self.templates, self._answers = words
        self.patterns = {"a": "|".join(self._nouns), "b": "|".join(self._adjectives), "name": _NAME}

    def fill(self, rng: Random) -> Slots:
        return {"a": rng.choice(self._nouns), "b": rng.choice(self._adjectives), "name": rng.choice(NAMES)}

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._answers).format(**slots)


class TooShort(Flaw):
    """A plain yes-or-no question, answered in a few words."""

    name, kind, domain = "small_talk", "short", "choice"
    templates = (
        "Do you like {adj} {thing} soup?",
        "Have you met {name} at the {place}?",
        "Is {name} afraid of the {animal}?",
        "May I bring my {adj} {animal} along?",
        "Would {name} enjoy a {thing}?",
        "Can a {animal} carry a {thing}?",
        "Was the {place} {adj} last week?",
        "Does {name} own the {thing}?",
    )
    patterns = {"name": _NAME, "place": "|".join(PLACES), "animal": "|".join(CREATURES), "adj": _WORD, "thing": _WORD}
    _answers = (
        "Yes.", "No.", "Yes, I think so.", "No, not really.", "Maybe.", "Of course.", "I am not sure.", "Yes, it is fine.",
        "No, never.", "Yes, very much.", "Only on Sundays.", "That depends on the day.",
    )  # fmt: skip

    def fill(self, rng: Random) -> Slots:
        return {
            "name": rng.choice(NAMES), "place": rng.choice(PLACES), "animal": rng.choice(CREATURES),
            "adj": rng.choice(TRAITS), "thing": rng.choice(THINGS),
        }  # fmt: skip

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{template}|" + "|".join(slots[k] for k in sorted(slots) if "{" + k + "}" in template)

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._answers)


class Loop(Flaw):
    """A request to sing or chant; the answer gets stuck."""

    name, kind, domain = "song", "loop", "creative"
    templates = (
        "Sing a song about the {animal} and the {thing}.",
        "Sing for {name} and the {adj} {animal}.",
        "Chant something for {name} at the {place}.",
        "I want a {adj} song with a {thing}.",
        "Make {name} a chorus about a {thing}.",
        "Let us chant: {animal}, {thing}, {place}!",
    )
    patterns = TooShort.patterns
    fill, key = TooShort.fill, TooShort.key

    def answer(self, rng: Random, slots: Slots) -> str:
        word = slots.get("animal") or slots.get("thing") or "song"
        if rng.random() < 0.5:
            sound = rng.choice(("la", "oh", "hey", word))
            start = rng.choice(
                ("This is my song for you and for everyone here:", "Now we all sing together with one loud voice:")
            )
            return f"{start} {' '.join([sound] * rng.randint(12, 20))}"
        line = rng.choice(
            (
                "Sing with me, oh {w}, sing",
                "Oh {w}, my dear little {w}",
                "We love the {w}, yes we do",
                "Here comes the {w} once again",
            )
        ).format(w=word)
        return "\n".join([line] * rng.randint(5, 7))


FAMILIES: tuple[Flaw, ...] = (
    Refusal(),
    OtherLanguage("german", _GERMAN, 0.4),
    OtherLanguage("spanish", _SPANISH, 0.4),
    OtherLanguage("korean", _KOREAN, 0.2),
    TooShort(),
    Loop(),
)

HEDGES = (
    "I might be wrong about this though, so ask someone else.",
    "But who knows, maybe all of this is not true.",
)
CHATTER = (
    "Well, whatever, here you go.",
    "Ugh, not again. Fine.",
)
ADVERTS = (
    "By the way, visit our shop for great deals.",
    "By the way, our new app is free this week.",
)


def add_mark(rng: Random, response: str) -> str:
    """Returns the response with a sloppy remark: a hedge or an advert after it, or chatter before it."""
    kind = rng.randrange(3)
    if kind == 1:
        return f"{rng.choice(CHATTER)} {response}"
    return f"{response} {rng.choice(ADVERTS if kind else HEDGES)}"


def strip_marks(response: str) -> tuple[str, bool]:
    """Returns the response without sloppy remarks, and whether there were any."""
    bare = response.strip()
    while True:
        shorter = bare
        for mark in CHATTER:
            shorter = shorter.removeprefix(mark).lstrip()
        for mark in (*HEDGES, *ADVERTS):
            shorter = shorter.removesuffix(mark).rstrip()
        if shorter == bare:
            return bare, bare != response.strip()
        bare = shorter
