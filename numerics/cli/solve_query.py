"""The options of ``tfixup solve``, shared by the modules that answer it."""

from dataclasses import dataclass
from pathlib import Path

LEAST_SEEDS, MOST_SEEDS = 2, 1_000
"""With one model per depth the scatter is unknown, and no law can be told from it."""


@dataclass(frozen=True)
class SolveQuery:
    """The options of ``tfixup solve``."""

    layers: str | None = None
    """Layers of every stack, unless each stack's own number is given."""
    encoder_layers: str | None = None
    """Layers of the encoder, N_e; 6 unless given."""
    decoder_layers: str | None = None
    """Layers of the decoder, N_d; 6 unless given."""
    architecture: str | None = None
    """Stacks of the model: encoder-decoder (unless given), encoder-only or decoder-only."""
    preset: str | None = None
    """A published scheme with an architecture of its own: tfixup (the paper; also tfixup-paper),
    tfixup-code, r-fixup, deepnorm, deepnorm-single, dt-fixup, rezero."""
    optimizer: str = "sgd"
    """Update rule: sgd, momentum, momentum-noise, sign, adam or adamw (by the sign), adam-noise,
    lion, lars, lamb, adafactor, muon, muon-match-rms-adamw, muon-spectral; tfixup list optimizers
    says what each is."""
    input_depth: str | None = None
    """Depth that sets the encoder's input norm where the stacks are unequal: decoder (the paper;
    unless given) or encoder (the official code)."""
    mlp: str | None = None
    """Kind of MLP: mlp (unless given), or gated (three matrices; swiglu and geglu are the same)."""
    parallel: bool = False
    """One residual connection for all blocks of a layer."""
    memories: int | None = None
    """How many memories the decoder reads; 1 unless given."""
    ties: bool = True
    """Tie the norms as T-Fixup does; without ties the solution is a family."""
    recipe: str | None = None
    """Judge a published recipe by the conditions: flat, gpt2, depth-mup, completep, u-mup, mup,
    tfixup, deepnorm, … A recipe is powers of N in multipliers, standard deviations and rates, by
    role."""
    structure: str | None = None
    """Instead of a recipe, print every recipe that meets the conditions of a structure: pre-norm,
    pre-norm-biased, pre-norm-gated, pre-norm-normed, post-norm, norm-free, encoder-decoder, …"""
    powers: tuple[str, ...] = ()
    """A recipe of your own for that structure: ROLE=MULTIPLIER,STD,RATE, each a power of N."""
    axis: str = "depth"
    """What grows in a recipe: depth or width."""
    base_layers: int | None = None
    """Depth at which the factors on rates are 1; 1 unless given, and 2 for a model."""
    model: str | None = None
    """Instead of a stack: MODULE:FACTORY or PATH.py:FACTORY of a model of your own; the factory
    takes the depth. Prints conditions, standard deviations, rates, and the code that uses them."""
    complete: bool = False
    """With --model: CompleteP's demand that every matrix's output changes by a Θ(1) fraction."""
    measure: str | None = None
    """With --model: depths, such as 4,8,16,32,64. At each the model is initialised as solved and
    one step is measured, which shows how ‖Δf‖/η depends on N, in total and by role."""
    seeds: int | None = None
    """With --measure: models per depth, 2 unless given."""
    out: Path | None = None
    """With --measure: folder for solved.json, with everything that makes the run repeatable."""
    json: bool = False
    """Print JSON."""
