"""Stacks put together: who reads whose output, which norms are tied, what else is demanded.

`Architecture` is data; the named ones are T-Fixup's encoder-decoder and its two halves alone, with
ordinary or gated MLPs, attention and MLP in sequence or in parallel, one memory or several. A *tie*
sets one norm to another: each is an assumption that no condition forces, and a solution lists it.
"""

import sympy as sp

from theory.errors import InputError, nearest
from theory.scales import stacks
from theory.scales.architecture import FurtherCondition, Memory, StackLayout, Tie
from theory.scales.depth_names import with_own_names
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, Stack, X, Y
from theory.scales.update_rules import UpdateRule, stack_gain

MOST_MEMORIES = 8
"""Memories of one decoder: each adds an unknown, and the work of the solver grows fast."""
G_E, G_D = sp.symbols("g_e g_d", positive=True)
"""Norms of the gates of gated MLPs."""


def require_depth(name: str, layers: sp.Expr) -> None:
    """Raise unless ``layers`` is a positive symbol or an integer of at least 1."""
    ok = layers.is_positive and (layers.is_Integer or not layers.is_number)
    if not ok:
        raise InputError(f"{name} must be a symbol or an integer of at least 1, got {layers}")


def _layers(
    layers: sp.Expr,
    own: stacks.Block,
    crossed: tuple[stacks.Block, ...],
    last: stacks.Block,
    parallel: bool,
) -> tuple[tuple[stacks.Block, sp.Expr], ...]:
    blocks = (own, *crossed, last)
    if parallel:
        blocks = (stacks.side_by_side("parallel " + " + ".join(b.name for b in blocks), *blocks),)
    return tuple((block, layers) for block in blocks)


def _mlp(
    kind: str, gate: sp.Symbol, first: sp.Symbol, second: sp.Symbol, reads: sp.Symbol
) -> stacks.Block:
    kinds = {
        "mlp": lambda: stacks.mlp(first, second, reads),
        "gated": lambda: stacks.gated_mlp(gate, first, second, reads),
    }
    if kind not in kinds:
        raise nearest(kind, kinds, "kind of MLP")
    return kinds[kind]()


def _tied(to: sp.Symbol, *others: sp.Symbol) -> tuple[Tie, ...]:
    words = "one scale for the matrices and inputs of a stack"
    return tuple(Tie(other, to, words) for other in others)


@with_own_names
def single(
    name: str,
    layers: sp.Expr,
    *,
    mlp: str = "mlp",
    parallel: bool = False,
    ties: bool = True,
) -> StackLayout:
    """An encoder or a decoder alone: N × (self-attention, MLP), by default all norms tied.

    Examples
    --------
    >>> [tie.symbol for tie in single("encoder", N_E).ties]
    [w_e, x]
    """
    require_depth(f"{name} layers", layers)
    value, output, gate, reads = {
        "encoder": (V_E, W_E, G_E, X),
        "decoder": (V_D, W_D, G_D, Y),
    }[name]
    own = stacks.attention("self-attention", value, output, reads)
    blocks = _layers(layers, own, (), _mlp(mlp, gate, value, output, reads), parallel)
    gates = (gate,) if mlp == "gated" else ()
    return StackLayout(
        f"{name}-only",
        (Stack(name, blocks),),
        ties=_tied(value, output, reads, *gates) if ties else (),
        known=_symbols(layers),
    )


@with_own_names
def encoder_decoder(
    encoder_layers: sp.Expr = N_E,
    decoder_layers: sp.Expr = N_D,
    *,
    input_depth: str = "decoder",
    mlp: str = "mlp",
    parallel: bool = False,
    memories: int = 1,
    ties: bool = True,
) -> StackLayout:
    """T-Fixup's architecture and its choices.

    Parameters
    ----------
    encoder_layers, decoder_layers
        N_e and N_d, symbols or numbers.
    input_depth
        Which stack's depth sets the encoder's input norm x. ``decoder`` is the paper's reading
        and the default: §3.2 sets ‖v_d‖ = ‖w_d‖ = ‖x‖ = ‖y‖ = (3 L_d)^(-1/4), and L_d counts the
        decoder's blocks. ``encoder`` is the official code's, x = (9 N_e)^(-1/4). They agree when
        N_e = N_d, the only case that the paper prints.
    mlp
        ``mlp`` or ``gated``.
    parallel
        Whether a layer's blocks share one residual connection.
    memories
        How many memories the decoder reads, each from an encoder like the first.
    ties
        Whether T-Fixup's ties are made; without them the solution is a family.
    """
    require_depth("encoder layers", encoder_layers)
    require_depth("decoder layers", decoder_layers)
    if input_depth not in ("encoder", "decoder"):
        raise InputError(f"input depth must be 'encoder' or 'decoder', got {input_depth!r}")
    if not 1 <= memories <= MOST_MEMORIES:
        raise InputError(f"memories must be between 1 and {MOST_MEMORIES}, got {memories}")
    read = (M, *sp.symbols(f"m2:{memories + 1}", positive=True))
    encoder = single("encoder", encoder_layers, mlp=mlp, parallel=parallel)
    own = stacks.attention("self-attention", V_D, W_D, Y)
    crossed = tuple(stacks.attention("encoder-attention", V_D, W_D, memory) for memory in read)
    last = _mlp(mlp, G_D, V_D, W_D, Y)
    decoder = Stack("decoder", _layers(decoder_layers, own, crossed, last, parallel))
    gates = ((G_E,), (G_D,)) if mlp == "gated" else ((), ())
    made = (
        *_tied(V_E, W_E, *gates[0]),
        *_tied(V_D, W_D, Y, *read, *gates[1]),
    )

    def at_encoder_depth(rule: UpdateRule) -> sp.Expr:
        slots = (V_D, W_D, Y, *read, *gates[1])
        per_layer = stack_gain(decoder, rule) / decoder_layers
        return encoder_layers * sp.expand(per_layer.subs(dict.fromkeys(slots, X)))

    code = FurtherCondition(
        "source input",
        at_encoder_depth,
        "the encoder's input norm is the decoder's scale at the encoder's depth (official code)",
    )
    paper = Tie(X, V_D, "the encoder's input norm is the decoder's scale (paper)")
    return StackLayout(
        "encoder-decoder",
        (Stack("encoder", encoder.stacks[0].blocks), decoder),
        tuple(Memory(memory, "encoder", "decoder") for memory in read),
        ((*made, paper) if input_depth == "decoder" else made) if ties else (),
        (code,) if ties and input_depth == "encoder" else (),
        tuple(dict.fromkeys((*_symbols(encoder_layers), *_symbols(decoder_layers)))),
    )


def _symbols(layers: sp.Expr) -> tuple[sp.Symbol, ...]:
    return tuple(sorted(layers.free_symbols, key=str))


ARCHITECTURES = ("encoder-decoder", "encoder-only", "decoder-only")


def layout_named(
    name: str,
    encoder_layers: sp.Expr | int,
    decoder_layers: sp.Expr | int,
    *,
    input_depth: str = "decoder",
    mlp: str = "mlp",
    parallel: bool = False,
    memories: int = 1,
    ties: bool = True,
) -> StackLayout:
    """Describe one of the usual stacks by its name and depths, which may be numbers or symbols.

    Raises
    ------
    InputError
        For an unknown name, offering the nearest, or for memories without an encoder.
    """
    encoder_layers = sp.sympify(encoder_layers, strict=True)  # a string is never evaluated
    decoder_layers = sp.sympify(decoder_layers, strict=True)
    if name not in ARCHITECTURES:
        raise nearest(name, ARCHITECTURES, "architecture")
    if name != "encoder-decoder":
        if memories != 1:
            raise InputError(f"only an encoder-decoder reads memories, got {memories} for {name}")
        stack = name.partition("-")[0]
        layers = encoder_layers if stack == "encoder" else decoder_layers
        return single(stack, layers, mlp=mlp, parallel=parallel, ties=ties)
    return encoder_decoder(
        encoder_layers,
        decoder_layers,
        input_depth=input_depth,
        mlp=mlp,
        parallel=parallel,
        memories=memories,
        ties=ties,
    )
