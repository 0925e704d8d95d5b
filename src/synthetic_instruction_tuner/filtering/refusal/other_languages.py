"""The short common refusals in German, French, Spanish, Italian, Portuguese, Dutch, Chinese, Japanese and Korean.

They count only at the start of a short response, after an apology and words of the model about itself, and only if the
request does not ask for a text in some voice. What such a response says besides is not weighed.
"""

from __future__ import annotations

import re

MOST = 500  # characters; a longer response says more than a refusal
WIDE = 160  # of a script whose letters are words
TURN, TURN_WIDE = 80, 25  # characters after a "but" that make an answer
DEEP = 160  # characters before the words of a refusal, if they are no first ones
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_JA_SORRY = (
    r"(?:大変|誠に)?(?:申し訳(?:ありません|ございません|ない)|すみません|恐れ入りますが|残念ながら|ごめんなさい)"
)
_JA_CANNOT = (
    r"(?:でき(?:ません|かねます)|わかりません|分かりません|(?:持って|有して|備えて)(?:いません|おりません)|"
    r"(?:情報|機能|能力|手段)(?:が|は)(?:ありません|ございません))"
)
_FORMS = {
    "de": (
        r"(?:(?:es )?tut mir leid|entschuldigung|leider|ich bedau[er]+e?|verzeihung|sorry)?[\s,.!:]*(?:aber "
        r")?(?:als (?:ki|"
        r"ein)[^.!?]{0,40} )?(?:(?:leider |dabei |damit |hierbei |hierzu |dazu |dafür |das |diese[nrs]? \w+ |so etwas |"
        r"(?:ein\w* )?(?:solche\w*|derartige\w*) (?:\w+ ){1,2})*(?:kann|darf|"
        r"werde|möchte) ich "
        r"(?:\w+ ){0,5}?(?:nicht|keine?[nr]?)\b|ich (?:kann|darf|werde|möchte|bin) (?:\w+ ){0,6}?(?:nicht "
        r"(?:helfen|weiterhelfen|"
        r"unterstützen|beantworten|erfüllen|nachkommen|schreiben|geben|in der lage|dabei|tun|erstellen|"
        r"bereitstellen)|keine? "
        r"(?:\w+ ){0,4}?(?:geben|anbieten|bereitstellen|machen|erstellen|beantworten|liefern))|(?:ich habe|habe "
        r"ich|ich verfüge über|verfüge ich über) (?:leider )?kein\w* (?:\w+ ){0,2}?(?:zugriff|zugang|informationen|"
        r"\w*daten\b|möglichkeit|fähigkeit|persönliche)|es ist mir (?:leider )?nicht (?:möglich|erlaubt|gestattet)|"
        r"ich lehne (?:das|dies|diese anfrage) ab|das ist mir nicht möglich|dabei (?:helfe|unterstütze) ich nicht)"
    ),
    "fr": (
        r"(?:(?:je suis )?(?:vraiment )?désolée?|pardon|malheureusement|je m'excuse|je regrette)?[\s,.!:]*(?:mais "
        r")?(?:en tant "
        r"qu[^.!?,]{1,50}, )?je (?:ne (?:peux|puis|suis|vais|pourrai|souhaite|saurais|fournis|dispose|veux)|n'ai|"
        r"refuse de|dois "
        r"refuser)(?: pas)? ?(?:\w+ ){0,2}(?:vous aider|t'aider|aider|répondre|fournir|donner|satisfaire|écrire|"
        r"rédiger|créer|produire|consulter|accéder|prédire|prévoir|dire|ouvrir|réserver|appeler|afficher|lire|"
        r"recommander|"
        r"discuter|traiter|assister|exécuter|envoyer|jouer|connaître|savoir|voir|écouter|encourager|cautionner|en "
        r"mesure|d'opinion|d'accès|(?:la |de )?(?:capacité|possibilité)|d'informations?|accès|autorisé|capable|faire|"
        r"partager|de |à |vous|participer|générer|proposer)"
    ),
    "es": (
        r"(?:lo siento|lo lamento|disculpa|perdón|lamentablemente|desafortunadamente)?[\s,.!:]*(?:mucho,? "
        r")?(?:pero )?(?:como "
        r"(?:una? )?(?:ia|modelo|asistente|inteligencia)[^.!?,]{0,50}, )?(?:yo )?(?:no (?:puedo|podré|voy a|me es "
        r"posible|me "
        r"está permitido|estoy (?:autorizado|en condiciones|capacitado)|soy capaz|cuento con|dispongo de|tengo "
        r"(?:acceso|la (?:capacidad|posibilidad)|opinion|información|forma|manera)|"
        r"me siento cómod)"
        r"|me niego a|debo (?:rechazar|negarme))"
    ),
    "it": (
        r"(?:mi dispiace|spiacente|purtroppo|scusa)?[\s,.!:]*(?:ma )?(?:come (?:ia|modello|"
        r"assistente)[^.!?,]{0,50}, )?non (?:"
        r"posso|sono in grado|mi è possibile|ho(?: accesso)?|intendo|potrò) ?(?:aiut|forni|rispond|soddisf|di |scriv|"
        r"far|dar|asseco|cre|produ|discut|preved|acced|apri|legg|vede|prenot|chiam|invi|mostr|consigl|sape|conosc|"
        r"gener|"
        r"assist|opinion|la capacità|informazion|modo\b|tradu|incoragg|"
        r"partecip|a\b)"
    ),
    "pt": (
        r"(?:desculpe|sinto muito|lamento|infelizmente)?[\s,.!:]*(?:mas )?(?:como (?:uma? )?(?:ia|modelo|"
        r"assistente)[^.!?,]{0,50}, )"
        r"?(?:eu )?não (?:posso|consigo|poderei|vou|estou autorizado|sou capaz|tenho(?: acesso)?) ?(?:ajud|fornec|"
        r"opini|capacidade|como\b|informaç|"
        r"respond|atend|"
        r"escrev|prever|diz|abrir|acess|reserv|ligar|mostrar|ler|ver\b|recomend|discut|envi|redig|ger|incentiv|faz|"
        r"d[ae]r|cri|ao?\b|de\b|com\b|particip)"
    ),
    "nl": (
        r"(?:het spijt me|sorry|helaas)?[\s,.!:]*(?:maar )?(?:als (?:ai|taalmodel)[^.!?,]{0,40} )?(?:(?:daar|hier|"
        r"dat|dit|helaas)"
        r"(?:mee|bij)? )?(?:kan ik|ik (?:kan|mag|wil|ga|heb(?= geen (?:toegang|informatie|mogelijkheid|"
        r"persoonlijke)))) (?:\w+ ){0,5}?(?:niet|geen)\b"
    ),
    "zh": (
        r"(?:很?抱歉|对不起|對不起|不好意思|遗憾的是)?[，,。！!：:\s]*(?:但是?)?(?:作为(?:一个|一名|一款)?(?:ai|"
        r"人工智能|语言模型|"
        r"助手)[^。！!]{0,20}[，,])?我(?:无法|不能|無法|不可以|没有办法|没法|不会|拒绝|没有能力)(?:为您|为你|向您|"
        r"向你|给您|给你|"
        r"就此|直接)?(?:提供|帮助|帮您|帮你|回答|回應|满足|协助|完成|执行|生成|创作|编写|写|讨论|访问|参与|支持|处理|"
        r"告诉|做|預測|预测|获取|獲取|取得|得知|知道|预知|判断|确定|播放|打开|识别|设置|拨打|发送|预订|购买|撰写|"
        r"撰寫|讲|"
        r"推荐|翻译|总结|确认|回忆|记住|看到|听到|感受|鼓励|配合|扮演|同意|给出|分享|"
        r"查看|浏览|給|给)"
    ),
    "ja": (
        r"(?:大変)?(?:申し訳(?:ありません|ございません)|すみません|恐れ入りますが|残念ながら)?(?:が|"
        r"けれど)?[、。！,\s]*(?:私は?)?"
        r"[^。！]{0,45}(?:お手伝い(?:でき(?:ません|かねます)|することはできません)|お答え(?:でき(?:ません|かねます)|"
        r"することはできません)|"
        r"(?:提供|回答|対応|作成|支援|お応え|応じること)(?:は|が|を)?(?:すること(?:は|が))?(?:でき(?:ません|かねます)))"
    ),
    "ja_making": (
        r"[^。！は]{0,45}(?:書く|作る|描く|教える|答える|手伝う|応じる|作成する|生成する|紹介する|支援する)こと(?:は|"
        r"が)"
        r"でき(?:ません|かねます)"
    ),
    "ja_itself": (
        rf"{_JA_SORRY}[^。！]{{0,60}}(?:でき(?:ません|かねます)|いたしかねます|控え|わかりません|分かりません)|"
        rf"[^。！]{{0,20}}(?:ai|"
        rf"人工知能|言語モデル|アシスタント)[^。！]{{0,50}}{_JA_CANNOT}|(?:私|わたし)(?:は|には|"
        rf"の)[^。！]{{0,50}}{_JA_CANNOT}"
    ),
    "zh_itself": (
        r"(?:非常|很)?(?:抱歉|对不起|對不起|不好意思|遗憾)[^。！]{0,40}(?:无法|無法|不能|没有办法|没法|不会|拒绝|"
        r"不便|不适合|恕难)|"
        r"(?:作为|身为)[^。！，,]{0,20}(?:ai|人工智能|语言模型|助手|机器人)[^。！]{0,30}(?:无法|無法|不能|不具备|"
        r"没有|不会|不便|拒绝)"
    ),
    "ko_itself": (
        r"(?:정말 )?(?:죄송|미안)[^.!]{0,80}(?:수 (?:는 |가 )?없|어렵습니다|않습니다|못합니다)|[^.!。]{0,60}(?:드릴 "
        r"수 |도와줄 수 |알려줄 수 )"
        r"(?:는 |가 )?없|드리기 (?:어렵|힘들)|(?:저는|저로서는|제가|저에게는|[^.!]{0,12}(?:ai|인공지능|언어 "
        r"?모델)[^.!]{0,12})[^.!。]{0,60}"
        r"(?:수 (?:는 |가 )?없|못합니다|기능이 없|정보가 없)"
    ),
    "ko": (
        r"(?:정말 )?(?:죄송(?:합니다|하지만|해요)|미안(?:합니다|하지만|해요)|유감스럽게도)?(?:만)?[,.!\s]*(?:저는 )?"
        r"[^.!。]{0,45}(?:도와(?:드릴|"
        r"줄) 수 (?:는 )?없|(?:제공|답변|작성|지원|대답)(?:을|를)?(?:해 ?드릴|할|드릴) 수 (?:는 )?없|"
        r"들어드릴 수 (?:는 )?없|응할 수 없)"
    ),
}
_STARTS = {code: re.compile(rf"[\W_]*(?:{form})") for code, form in _FORMS.items()}
_VOICED = re.compile(
    r"schreib|verfass|formulier|entwirf|beispiel|écri|rédig|escrib|redact|scriv|escrev|redij|schrijf|write|写|寫|书信|"
    r"作文|書いて|써|작성|スピーチ"
)
_GIVEN = re.compile(
    r"translat|übersetz|traduc|traduz|tradui|vertaal|翻译|翻譯|訳し|번역|korrigier|corrig|wie sage|wie lehne|comment "
    r"dire|"
    r"cómo (?:se )?dig?|absage|ablehn|refus|rechaz|rifiut|recus|afwijz|拒绝|婉拒|断り|断る|거절|"
    r"négati|conjugu|conjug(?:a|á)|coniug|phrase avec|reformul|riformul|herformul|umformulier|"
    r"(?:frase|oración) (?:con|com|que)\b|(?:en|al|in|para a) negativ|negaci|negaç|negazion|vernein|"
    r"bilde \w+ (?:\w+ )?satz|setze? [^.]{0,40}(?:präsens|präteritum|perfekt|futur|passiv|plural)|"
    r"ontkenning|vervoeg|zin met|造句|造一个|例句|否定|(?:改成|改为|改為)[^，。]{0,6}(?:句|式|语气)|改写|改得|"
    r"改寫|例文|文を作|文に直|言い換え|예문|로 ?(?:바꿔|바꾸|고쳐)|문장을 (?:하나 )?(?:만들|써|지어)"
)
"""A text to reword, a sentence to make, or one in which somebody refuses: only who names the request refuses it."""
_OF_MACHINES = re.compile(
    r"(?<![a-z])ai(?![a-z])|人工知能|言語モデル|ロボット|人工智能|语言模型|机器人|인공지능|언어 ?모델|로봇"
)
_SPEAKER = re.compile(
    r"私|わたし|我|您|申し訳|すみません|ごめん|恐れ入り|抱歉|对不起|對不起|저는|저로서|제가|저에게|죄송|드릴|드리"
)
"""Who speaks for itself; a request about machines is answered by what they cannot do."""
_ADDRESSED = re.compile(
    r"\bbist du\b|\bhast du\b|\bkannst du (?:denken|fühlen|sehen|hören|träumen)|\bes-tu\b|êtes-vous|\beres\b|"
    r"\btienes\b|"
    r"\bsei (?:un|una)\b|\bhai (?:un|dei|delle)\b|você (?:é|tem|sente)\b|\bben je\b|\bheb je\b|你是|你有|你会|"
    r"你能(?:思考|感|看|听|做梦)|あなたは|너는|넌 |당신은|너도"
)
"""A question about the assistant: what it cannot do answers it."""
_REQUEST = re.compile(
    r"(?:diese[nrs]? |dieser |ihre[nr]? |deine[nr]? )(?:\w+ )?(?:anfrage|bitte|wunsch|aufgabe)|(?:cette|votre|ta) "
    r"(?:demande|requête|question)|(?:esta|tu|su|esa) (?:solicitud|petición|pregunta)|(?:questa|tua) richiesta|(?:esse|"
    r"este|seu) pedido|(?:dit|deze|je|uw) (?:verzoek|vraag)|请求|要求|リクエスト|ご要望|요청"
)
_HELPS = re.compile(
    r"(?:dabei|damit) (?:\w+ )?(?:nicht )?(?:helfen|unterstützen)|helfen|aider|ayud|aiut|ajud|helpen|帮助|协助|"
    r"お手伝い|도와"
)
_WRITES = re.compile(
    r"[^,.!?，。！、]{0,60}(?:schreiben|verfassen|erstellen|formulieren|écrire|rédiger|créer|escribir|redactar|crear|"
    r"scrivere|redigere|creare|escrever|redigir|criar|schrijven|opstellen|撰写|撰寫|创作|創作|编写|編寫|生成|写(?!信|"
    r"字)|作成|執筆|書く|"
    r"작성|써 ?(?:드릴|줄)|쓸 수)"
)
"""The making of a text, in the clause of the refusal."""
_TURN = re.compile(
    r"\b(?:aber|jedoch|allerdings|mais|cependant|toutefois|pero|sin embargo|ma|tuttavia|mas|no entanto|maar|echter)\b|"
    r"不过|但是?|然而|しかし|ただし|(?:ません|です|ます)が|하지만|그러나|다만|지만"
)
_OFFERS = re.compile(
    r"gern|helf|aider|ayud|aiut|ajud|help|puedo|posso|peux|kann ich|ich kann|kan ik|ik kan|empfehle|rate|bitte|"
    r"veuillez|por favor|consult|könn|conseill|consigli|recom|可以|帮|请|建议|お手伝い|ください|お勧め|おすすめ|"
    r"可能です|드릴|도와|주세요|바랍니다|"
    r"시기"
)
_DELIVERS = re.compile(
    r"\bhier (?:ist|sind)\b|\bvoici\b|aquí (?:tienes|está|hay)|ecco\b|aqui (?:está|vai)|以下是|以下は|다음은"
)
HINTS = (
    "nicht",
    "kein",
    "ne ",
    "n'ai",
    "refuse",
    "no ",
    "niego",
    "non ",
    "não",
    "niet",
    "geen",
    "我",
    "ません",
    "かねます",
    "없",
)


def may_refuse(text: str) -> bool:
    """Returns whether a text is short and has a word of a refusal; without one, `refusal` finds none."""
    return 0 < len(text) <= MOST and any(map(text.__contains__, HINTS))


def refusal(text: str, asked: str) -> tuple[int, int] | None:
    """Returns the place of a refusal in one of these languages at the start of a short response.

    Args:
        text: the response, in lower case with straight apostrophes.
        asked: the request, likewise.
    """
    wide = _WIDE.search(text) is not None
    if (wide and len(text) > WIDE) or _DELIVERS.search(text):
        return None
    if _ADDRESSED.search(asked) or _GIVEN.search(asked):
        named: tuple[re.Pattern[str], ...] = (_REQUEST,)
    else:
        named = (_REQUEST, _HELPS) if _VOICED.search(asked) else ()
    for code, start in _STARTS.items():
        if (code[:2] in ("zh", "ja", "ko")) != wide:
            continue
        match = start.match(text)
        if not match or _turns(text, match.end()):
            continue
        if code.endswith("_itself") and _OF_MACHINES.search(asked) and not _SPEAKER.search(match.group()):
            continue
        if not named or any(form.search(text, 0, match.end() + DEEP) for form in named):
            return match.start(), match.end()
        if len(named) > 1 and _WRITES.match(text, _clause(text, match.end())):
            return match.start(), match.end()
    return None


def _clause(text: str, end: int) -> int:
    return 1 + max(text.rfind(mark, 0, end) for mark in ",.!?，。！、")


def _turns(text: str, end: int) -> bool:
    """Returns whether a response goes on with a "but" and as many words as an answer has."""
    turn = _TURN.search(text, end)
    return (
        turn is not None
        and len(text) - turn.end() >= (TURN_WIDE if _WIDE.search(turn.group()) else TURN)
        and (_OFFERS.search(text, turn.end()) is None)
    )
