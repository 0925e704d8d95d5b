"""The words of the nano world: small lists that all families share, known to its tiny tokenizer."""

# ruff: noqa: SIM905 - a paragraph of words is easier to read and edit than a list of literals
from __future__ import annotations

NOUNS: tuple[str, ...] = tuple(
    """
    acorn anchor apple apron arrow attic axe bag bakery balcony ball bamboo banana band bank barn barrel basin
    basket bath beach bean beard bed bell belt bench berry bike blanket board boat bone book boot bottle bowl box
    branch bread brick bridge broom brush bucket bulb bus bush butter button cabin cabinet cable cake camera camp
    candle candy canoe canvas cap car card carpet carrot cart castle cave ceiling cellar chain chair chalk cheese
    cherry chest church clay clock cloth cloud coal coat coin comb compass cookie copper corn cotton couch cradle
    crayon cream crown cup curtain cushion desk diamond dish doll door dough dress drum dust engine envelope fan
    farm feather fence field fig film flag flame flask floor flour flower flute forest fork fountain frame fridge
    fruit garage garden garlic gate gift glass globe glove glue gold grape grass gravel guitar hall hammer handle
    harbor harp hat hay heater hill hinge honey hook horn hose hotel house ice ink iron island ivy jacket jam jar
    jewel juice kettle key kitchen kite knife knot ladder lake lamp lantern lawn leaf lemon lens letter library lid
    light lime linen lock log magnet map marble market mask mat meadow melon milk mill mint mirror mitten money moon
    moss motor mountain mud mug museum nail napkin necklace needle nest net nut oak oar oats ocean office oil olive
    onion orange oven paddle page paint palace pan paper park path peach pear pearl pebble pen pencil pepper piano
    picture pie pillow pin pipe plank plate plum pocket pond port pot potato powder pump purse puzzle quilt radio
    raft rail rain raisin ribbon rice ring river road rock roof room root rope rose rug ruler sack saddle sail salad
    salt sand scarf school seed shed shelf shell shirt shoe shop silk silver sink sled snow soap sock sofa soup
    spoon stable stage stamp star stick stone stool stove straw street sugar suit sun table tent thread ticket tile
    toast tool torch towel tower toy train tray tree trunk tunnel
    """.split()
)

ADJECTIVES: tuple[str, ...] = tuple(
    """
    ancient angry bold brave brief bright broad broken busy calm careful cheap cheerful clean clear clever cold cool
    cozy crisp curious curly daily damp dark deep dry dull dusty eager early easy empty fair famous fancy fast firm
    flat fond free fresh friendly full funny gentle glad golden good grand great handy happy hard heavy high hollow
    honest huge humble hungry icy kind large late lazy light little lively lonely long loose loud lovely low lucky
    mild modern narrow neat new nice noisy odd old open plain polite poor pretty proud quick quiet rapid rare ready
    rich ripe rough round rusty sad safe salty shallow sharp shiny short shy silent simple slim slow small smooth
    soft sour spicy steep strange strong sunny sweet tall tame thick thin tidy tiny tired tough warm weak wet wide
    wild wise wooden young
    """.split()
)

VERBS: tuple[str, ...] = tuple(
    """
    add ask bake bend borrow bring build burn buy call carry catch choose clean climb close collect cook count cover
    cross cut dance dig draw drink drive drop eat enter feed fill find finish fix fold follow gather give grow guard
    hang hear help hide hold hunt jump keep kick know laugh lead learn leave lend lift listen load look lose make
    mark measure meet melt mend mix move need open order pack paint pass pick plan plant play pour press pull push
    read repair rest ride ring run sail save search see sell send sew share show shut sing sit sleep smell smile
    sort speak spend stand start stop study sweep swim take talk taste teach tell throw tie touch trade travel try
    turn use visit wait wake walk wash watch water wear weigh whisper work wrap write
    """.split()
)

NAMES: tuple[str, ...] = tuple(
    """
    Ada Alan Alice Amir Amy Anna Ben Bella Bruno Carl Carla Cleo Clara Dan Dana Daisy David Dora Ella Elias Emil
    Emma Erik Eva Felix Finn Flora Fred Gina Grace Greta Gus Hana Hanna Harry Hugo Ida Iris Ivan Jack Jane Jonas
    Julia Kai Karl Kate Kim Lara Leo Lena Lily Lisa Luca Lucy Luis Mara Marco Maria Max Maya Mia Milo Mina Nadia
    Nick Nina Noah Nora Olga Oscar Otto Paul Peter Petra Rita Robin Rosa Ruth Sam Sara Sofia Tara Theo Tina Tom Vera
    Victor Will Zoe
    """.split()
)

OBJECTS: tuple[tuple[str, str], ...] = tuple(
    (pair.split("/")[0], pair.split("/")[1])
    for pair in """
    apple/apples banana/bananas pear/pears peach/peaches plum/plums lemon/lemons orange/oranges melon/melons
    grape/grapes carrot/carrots onion/onions potato/potatoes cookie/cookies cake/cakes pie/pies egg/eggs nut/nuts
    bean/beans book/books card/cards coin/coins stamp/stamps ticket/tickets letter/letters map/maps pen/pens
    pencil/pencils crayon/crayons marble/marbles ball/balls kite/kites doll/dolls toy/toys puzzle/puzzles
    shell/shells stone/stones pebble/pebbles feather/feathers flower/flowers rose/roses leaf/leaves seed/seeds
    stick/sticks log/logs brick/bricks tile/tiles nail/nails button/buttons ribbon/ribbons ring/rings hat/hats
    scarf/scarves sock/socks shoe/shoes glove/gloves cup/cups plate/plates bowl/bowls spoon/spoons fork/forks
    bottle/bottles jar/jars candle/candles lamp/lamps box/boxes basket/baskets
    """.split()
)

COLORS: tuple[str, ...] = tuple("red blue green yellow black white brown gray purple pink orange silver".split())

ANIMALS: tuple[str, ...] = tuple(
    """
    ant badger bat bear bee beetle bird bull camel cat cow crab crow deer dog donkey dove duck eagle falcon fish fox
    frog goat goose hare hawk hen horse lamb lion lizard mole monkey moth mouse otter owl ox panda parrot pig pony
    rabbit rat raven robin seal shark sheep snail snake spider squirrel swan tiger toad turtle whale wolf zebra
    """.split()
)

OPPOSITES: tuple[tuple[str, str], ...] = tuple(
    (pair.split("/")[0], pair.split("/")[1])
    for pair in """
    hot/cold big/small tall/short fast/slow old/new wet/dry dark/light hard/soft loud/quiet heavy/weightless
    high/low deep/shallow wide/narrow thick/thin rich/poor happy/sad good/bad early/late easy/difficult full/empty
    open/closed clean/dirty sharp/blunt rough/smooth strong/weak sweet/bitter brave/cowardly polite/rude kind/cruel
    near/far young/elderly long/brief up/down in/out left/right top/bottom front/back first/last begin/end buy/sell
    give/take push/pull win/lose love/hate laugh/cry arrive/depart rise/fall day/night summer/winter north/south
    east/west friend/enemy question/answer truth/lie war/peace victory/defeat inside/outside above/below
    before/after always/never all/none more/less many/few yes/no true/false safe/dangerous tidy/messy
    cheap/expensive wise/foolish busy/idle lazy/diligent calm/stormy tight/loose straight/crooked noisy/silent
    fresh/stale ancient/modern awake/asleep alive/dead raw/cooked public/private simple/complex
    """.split()
)

# "letter" and the like occur in the wordings of instructions, and a color must not be mistaken for a thing.
THINGS = tuple(w for w in NOUNS if w not in {*COLORS, "letter", "page", "stage", "row"})
WORDS = THINGS + tuple(a for a in ANIMALS if a not in NOUNS)
