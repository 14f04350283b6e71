"""Small encoders with the traits of today, for tests that run a measurement on each of them."""

from dataclasses import replace
from typing import Any

import torch

from numerics.models import Architecture, single_stack
from numerics.models.attention import AttentionTraits
from numerics.models.mlp import SWIGLU
from numerics.models.norms import RMS_NORM
from numerics.models.spec import Positions
from numerics.models.wiring import WIRINGS
from numerics.schemes import SCHEMES, build

SCHEME_NAMES = (
    *("flat", "gpt2", "small-init-wang", "mitchell", "torchtitan", "t5", "sub-ln", "peri-ln"),
    *("olmo2", "layernorm-scaling", "mix-ln", "dyt", "layerscale", "zero-out", "depth-mup"),
    *("completep", "u-mup", "deepscalelm", "skip-init", "gpas"),
)
TRAITS = ("grouped", "rotary", "swiglu", "parallel", "parallel-two-norms")
CASES = (*SCHEME_NAMES, *TRAITS)
DEPTH, WIDTH, HIDDEN = 4, 8, 12


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def todays_model(case: str, *, shaken: bool = True, biases: bool = True) -> Any:
    """An encoder in float64; shaken, no parameter is at 0 or 1 any more, GPAS's gates apart."""
    spec = single_stack(
        Architecture.ENCODER_ONLY,
        DEPTH,
        d_model=WIDTH,
        d_ff=HIDDEN,
        heads=2,
        vocabulary=20,
        biases=biases,
    )
    scheme = SCHEMES[case] if case in SCHEMES else SCHEMES["flat"]
    if case == "grouped":
        spec = replace(spec, attention=AttentionTraits(key_heads=1))
    if case == "rotary":
        spec = replace(spec, positions=Positions.ROTARY)
    if case == "swiglu":
        spec = replace(spec, mlp=SWIGLU, norm=RMS_NORM)
    if case.startswith("parallel"):
        scheme = replace(scheme, wiring=WIRINGS[case])
    model = build(scheme, spec, generator(), dtype=torch.float64).eval()
    if shaken:
        source = generator(5)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("damping"):
                    continue  # whose gradient is that of f at 0 alone
                parameter.add_(
                    0.2 * torch.randn(parameter.shape, generator=source, dtype=torch.float64)
                )
    return model


def stream_input(seed: int = 3) -> torch.Tensor:
    """Two sequences of four tokens."""
    return torch.randn(2, 4, WIDTH, generator=generator(seed), dtype=torch.float64)
