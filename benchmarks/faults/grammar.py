"""The grammar of command lines for the fuzz: options with values that work and values that cannot.

A *nonsense* value must be refused with exit code 2 wherever it stands. An *odd* value may be
refused or may work, such as a path with markup in it. Values that work are small: a command line of
these alone takes a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from benchmarks.faults.long_commands import SIZES, TRAINING, words

LONG = "a" * 100_000
NO_INTEGER = ("nan", "inf", "1e9999999", "1.5", "", " ", "x", "1" + "0" * 30, "-1" + "0" * 30, "٣x")
NO_COUNT = (*NO_INTEGER, "-1", "-7")
"""What is not a number of things; 0 may be one."""
NO_SIZE = (*NO_COUNT, "0")
NO_FLOAT = ("nan", "inf", "-inf", "1e9999999", "", " ", "x", "1,5")
NO_FACTOR = (*NO_FLOAT, "-1", "1e308", "-1e-3")
NO_NAME = ("", " ", "nope", "tfixup;rm", LONG, "[red]", "*", "\u202e")
NO_LIST = ("", ",", ",,", "tfixup,,xavier", "tfixup,tfixup", "nope", ", ", LONG)
NO_NUMBERS = ("", ",", "1,,2", "1,1", "+2", "1_2", "٣", "nan", "1e9999999", "x", "-1", "0", "1.5")
NO_DEPTH = ("nan", "inf", "oo", "True", "None", "lambda", "pi", "E", "I", "1/0", "1e9999999", "")
NO_DEPTH += (
    "6.0",
    "12/2",
    "1_0",
    "1e3",
    "_",
    "-3",
    "0",
    "x y",
    "__import__('os')",
    LONG,
    "N" * 101,
    "9" * 400,
    "(",
    "०६",
)
ODD_FILES = ("a*b.json", "[red].json", "[/x].json", "ü.json", "a b.json", "/dev/null", "/dev/full")
ODD_FILES += (
    "fifo",
    "dangling",
    "loop",
    "missing/x.json",
    "plain/x.json",
    "folder",
    "n" * 300,
    ".",
)
ODD_FILES += (".", "", "/proc/x", "locked/x.json", "/dev/zero", "s*", "..", "x\udcff.json")
ODD_FOLDERS = (
    "s*",
    "[red]",
    "[/x]",
    "ü",
    "a b",
    "/dev/null",
    "dangling",
    "loop",
    "plain",
    "plain/x",
)
ODD_FOLDERS += ("n" * 300, "n/" * 2500, "", ".", "/proc/x", "locked", "swept", "trained", "folder")
ODD_FOLDERS += ("plain/x", "x\udcff", "missing/deep/er")
ODD_SOURCES = ("swept", "trained", "verdicts.json", "plain", "folder", "missing", "s*", "[red]", "")
ODD_SOURCES += ("/dev/null", "/dev/zero", "loop", "dangling", "/proc/x", "n" * 300, "deep.json")
ODD_SOURCES += ("torn.json", "empty.json", "list.json", "x\udcff", ".")


@dataclass(frozen=True)
class Option:
    """An option's values."""

    good: tuple[str, ...] = ()
    """Values that work."""
    nonsense: tuple[str, ...] = ()
    """Values that must be refused."""
    odd: tuple[str, ...] = ()
    """Values of which either is right."""


@dataclass(frozen=True)
class Grammar:
    """A command: the words that make it small, its options, and what stands without a name."""

    base: tuple[str, ...]
    options: Mapping[str, Option]
    flags: tuple[str, ...] = ()
    place: Option = field(default_factory=Option)
    """The positional argument, if there is one."""


def _sized(good: str, **more: tuple[str, ...]) -> Option:
    return replace(Option(words(good), NO_SIZE), **more)


def _counted(good: str) -> Option:
    return Option(words(good), NO_COUNT)


def _chosen(good: str) -> Option:
    return Option(words(good), NO_NAME)


FILE = Option(("a.json", "b.json"), (), ODD_FILES)
FOLDER = Option(("new", "swept", "trained"), (), ODD_FOLDERS)
SOURCE = Option((), (), ODD_SOURCES)
DEPTH = Option(words("N 6 12 2*N L N/2"), NO_DEPTH, ("m", "y", "N_e"))
DEVICE = Option(words("auto cpu"), (*NO_NAME, "cuda"))
FORMAT = _chosen("table json github")
MODEL = Option(
    ("benchmarks.faults.stack:stack",),
    (
        "",
        ":",
        "nope:stack",
        "benchmarks.faults.stack:nope",
        "benchmarks.faults.stack",
        LONG,
        "a:b:c",
    ),
    (
        "plain:x",
        "/dev/zero:x",
        "missing.py:x",
        "folder:x",
        "torch.nn:Linear",
        "os:abort2",
        "[red]:x",
    ),
)

SWEEP = Grammar(
    (
        "sweep",
        *SIZES,
        *words("--depths 1 --seeds 1 --workers 1 --schemes tfixup --optimizers sgd"),
        "--no-progress",
    ),
    {
        "--schemes": Option(
            words("tfixup,xavier post-ln pre-ln rezero"), NO_LIST, ("gpt2:std=0.1",)
        ),
        "--depths": Option(words("1 1,2,3 2,4"), (*NO_NUMBERS, "100001", LONG)),
        "--seeds": _sized("1 2", nonsense=(*NO_SIZE, "100000000")),
        "--optimizers": Option(words("sgd sign,muon adam lamb"), (*NO_LIST, "sgd,sgd")),
        "--out": FOLDER,
        "--again": Option(("tfixup",), ("nope", ",", "tfixup,,", "tfixup,tfixup")),
        "--executor": Option(("local",), NO_NAME),
        "--workers": _sized("1", nonsense=(*NO_SIZE, "1000000")),
        "--address": Option((), (), ("tcp://127.0.0.1:1", "", "x", "[red]", "tcp://")),
        "--partition": Option((), ("x", "[red]")),
        "--minutes": _sized("10"),
        "--from-depth": Option(words("1 6"), (*NO_INTEGER, "-1")),
        "--architecture": _chosen("encoder-decoder encoder-only decoder-only"),
        "--d-model": _sized("16 8", nonsense=(*NO_SIZE, "10000000000", "7")),
        "--d-ff": _sized("8 32", nonsense=(*NO_SIZE, "10000000000")),
        "--heads": _sized("1 2", nonsense=(*NO_SIZE, "3", "64")),
        "--vocabulary": _sized("9 50"),
        "--sequences": _sized("1 2"),
        "--tokens": _sized("1 4"),
        "--inputs": _chosen("free table"),
        "--embedding-multiplier": Option(words("1 0.5"), (*NO_FACTOR, "0")),
        "--positions": _chosen("none sinusoidal learned"),
        "--dtype": _chosen("auto float32 float64"),
        "--device": DEVICE,
        "--root-seed": Option(words("0 7"), (*NO_COUNT, str(2**64))),
        "--detail": _chosen("part matrix layer"),
    },
    ("--progress",),
)
TRAIN = Grammar(
    ("train", *TRAINING, "--steps", "3", "--out", "new"),
    {
        "--scheme": Option(words("tfixup xavier post-ln pre-ln admin rezero"), NO_NAME),
        "--architecture": _chosen("encoder-decoder decoder-only"),
        "--layers": _sized("1 2", nonsense=(*NO_SIZE, "1000000")),
        "--encoder-layers": _sized("1 2"),
        "--decoder-layers": _sized("1 2"),
        "--d-model": _sized("8 16", nonsense=(*NO_SIZE, "10000000000", "7")),
        "--d-ff": _sized("8 32", nonsense=(*NO_SIZE, "10000000000")),
        "--heads": _sized("1 2", nonsense=(*NO_SIZE, "3")),
        "--positions": _chosen("sinusoidal learned"),
        "--data": Option(
            ("generated",),
            ("", "nope", "text:", "text:missing", "text:plain", "text:folder", "text:s*", "hub:"),
            ("text:/dev/null", "text:/proc/x", "text:loop", "text:[red]", "text:" + "n" * 300),
        ),
        "--pairs": _sized("100 200", nonsense=(*NO_SIZE, "1", "100000000")),
        "--validation-pairs": _sized("10 20", nonsense=(*NO_SIZE, "100000000")),
        "--data-seed": Option(words("0 1"), NO_COUNT),
        "--vocabulary": _sized("120", nonsense=(*NO_SIZE, "1", "2147483648", "100000")),
        "--steps": _sized("1 3"),
        "--lr": Option(words("1e-3 0.1"), (*NO_FACTOR, "0", "1e-320")),
        "--warmup": Option(words("0 2"), NO_COUNT),
        "--schedule": _chosen("constant inverse-root tfixup"),
        "--decay-steps": _sized("1 100"),
        "--tokens": _sized("128 256", nonsense=(*NO_SIZE, "1", str(2**63))),
        "--max-length": Option(words("0 64"), NO_COUNT),
        "--too-long": _chosen("error drop"),
        "--optimizer": _chosen("adam adamw radam sgd lion"),
        "--radam": _chosen("paper torch authors"),
        "--momentum": Option(("0", "0.9"), (*NO_FACTOR, "1", "2")),
        "--weight-decay": Option(("0", "0.01"), NO_FACTOR),
        "--clip": Option(("0", "1"), (*NO_FLOAT, "-1", "1e-320")),
        "--label-smoothing": Option(("0", "0.1"), (*NO_FACTOR, "1", "2")),
        "--dropout": Option(("0", "0.1"), (*NO_FACTOR, "1", "0.999999999")),
        "--seed": Option(words("0 1"), (*NO_COUNT, "1000000000000000000")),
        "--device": DEVICE,
        "--precision": _chosen("32-true 64-true bf16-true"),
        "--processes": _sized("1", nonsense=(*NO_SIZE, "1000")),
        "--threads": _sized("1", nonsense=(*NO_SIZE, "2147483648", "100000")),
        "--validate-every": _sized("1 2"),
        "--checkpoint-every": _sized("1 2"),
        "--average": _sized("1 2"),
        "--out": FOLDER,
        "--evaluate": Option(("validation",), ("", "nope", "[red]", LONG)),
        "--beam": _sized("1 2", nonsense=(*NO_SIZE, "100000")),
        "--length-penalty": Option(("0", "0.3"), (*NO_FACTOR,)),
    },
    ("--signals", "--stop-when-trained", "--tensorboard"),
)
SOLVE = Grammar(
    ("solve",),
    {
        "--layers": DEPTH,
        "--encoder-layers": DEPTH,
        "--decoder-layers": DEPTH,
        "--architecture": _chosen("encoder-decoder encoder-only decoder-only"),
        "--preset": _chosen("tfixup tfixup-code r-fixup deepnorm dt-fixup rezero"),
        "--optimizer": _chosen("sgd adam lion lamb muon"),
        "--input-depth": _chosen("decoder encoder"),
        "--mlp": _chosen("mlp gated swiglu"),
        "--memories": _sized("1 2", nonsense=(*NO_SIZE, "1000000")),
        "--recipe": _chosen("flat gpt2 depth-mup completep"),
        "--structure": _chosen("pre-norm post-norm norm-free"),
        "--powers": Option((), ("x", "=", "mlp=1", "mlp=nan,0,0", LONG)),
        "--axis": _chosen("depth width"),
        "--base-layers": _sized("1 2"),
        "--model": MODEL,
        "--seeds": Option((), NO_SIZE),
        "--out": Option((), (), ODD_FOLDERS),
    },
    ("--parallel", "--no-ties", "--complete", "--json"),
)
CHECK = Grammar(
    ("check", "--values", "1,2,3", "--seeds", "1", "--optimizers", "sgd"),
    {
        "--over": Option(("depth",), NO_NAME, ("width",)),
        "--values": Option(words("1,2,3 2,4,6,8"), (*NO_NUMBERS, "1", "1,2", LONG)),
        "--optimizers": Option(words("sgd adamw,muon lion"), (*NO_LIST, "radam2", "sgd,sgd")),
        "--seeds": _sized("1 2", nonsense=(*NO_SIZE, "100000000")),
        "--lr": Option(("0.1",), (*NO_FACTOR, "0")),
        "--steps": _sized("1 2", nonsense=(*NO_SIZE, "100000000")),
        "--depth": Option((), ("1", *NO_SIZE)),
        "--width": Option((), NO_SIZE),
        "--rates": Option((), (*NO_NAME,), ("completep", "depth-mup", "u-mup")),
        "--dtype": _chosen("auto float32 float16 bfloat16"),
        "--output": Option(("features", "logits"), ("", "nope")),
        "--out": Option(("new",), (), ODD_FOLDERS),
        "--format": FORMAT,
    },
    ("--json", "--traceback"),
    MODEL,
)
AUDIT = Grammar(
    ("audit",),
    {
        "--recipe": Option(("gpt2", "xavier"), (*NO_NAME, "gpt2:std=nan", "gpt2:nope=1", "gpt2:")),
        "--values": Option(words("2 1,2,3"), (*NO_NUMBERS, LONG)),
        "--names": Option(("head.weight",), (",", "a,,b"), ("[red]", LONG, "nope")),
        "--seed": Option(words("0 1"), NO_COUNT),
        "--json": FILE,
        "--format": FORMAT,
    },
    ("--traceback",),
    MODEL,
)
PLOT = Grammar(
    ("plot",),
    {
        "--out": Option(("a.svg", "a.png"), ("a.txt", "svg", ""), ODD_FILES),
        "--kind": _chosen("curves exponents"),
        "--schemes": Option(("all", "tfixup"), ("", ",", "nope", "tfixup,,", "tfixup,tfixup")),
        "--quantity": _chosen("update gradient_energy"),
        "--from-depth": Option(words("1 6"), (*NO_INTEGER, "-1")),
    },
    (),
    replace(SOURCE, good=("swept", "trained")),
)
VERIFY = Grammar(
    ("verify", "--claims", "tfixup.decoder-scale", "--workers", "1"),
    {
        "--level": Option(("quick",), NO_NAME),
        "--claims": Option(
            ("decoder-scale", "tfixup.decoder-scal*"),
            ("", ",", "nope", "tfixup.eq6,,tfixup.eq6", LONG, "[red]", "tfixup.eq6,tfixup.eq6"),
        ),
        "--format": _chosen("summary table json markdown csv"),
        "--json": FILE,
        "--recorded": replace(SOURCE, good=("verdicts.json",)),
        "--results": replace(SOURCE, nonsense=("", "missing", "plain", "folder")),
        "--seed": Option(words("0 1"), NO_INTEGER, ("-1", str(2**64))),
        "--workers": _sized("1", nonsense=(*NO_SIZE, "1000000")),
    },
    ("--table", "--verbose"),
)
REPORT = Grammar(
    ("report",),
    {
        "--out": Option(("a.html",), (), ODD_FILES),
        "--against": replace(SOURCE, good=("verdicts.json",)),
    },
    (),
    replace(SOURCE, good=("verdicts.json", "swept", "trained")),
)
REPRODUCE = Grammar(
    ("reproduce", "--quick", "--workers", "1", "--out", "new"),
    {
        "--out": FOLDER,
        "--data": TRAIN.options["--data"],
        "--workers": _sized("1", nonsense=(*NO_SIZE, "1000000")),
    },
    ("--quick",),
    Option(("fig4c",), NO_NAME),
)
DERIVE = Grammar(
    ("derive",),
    {"--format": _chosen("text latex json")},
    (),
    Option(("tfixup.decoder-scale", "tfixup.eq6"), NO_NAME),
)
EXPLAIN = Grammar(
    ("explain",),
    {"--results": replace(SOURCE, nonsense=("", "missing", "plain", "folder"))},
    (),
    Option(("tfixup.decoder-scale",), NO_NAME),
)
PROVE = Grammar(("prove", "--kind", "interval"), {"--kind": _chosen("interval")}, ("--json",))
LIST = Grammar(
    ("list",),
    {},
    ("--json",),
    Option(words("recipes schemes claims optimizers experiments"), NO_NAME),
)
GRAMMARS = (
    *(SWEEP, TRAIN, SOLVE, CHECK, AUDIT, PLOT, VERIFY, REPORT),
    *(REPRODUCE, DERIVE, EXPLAIN, PROVE, LIST),
)
WEIGHTS = (5, 6, 5, 4, 3, 4, 3, 3, 2, 1, 1, 0.2, 0.5)
"""How often each command is drawn."""
