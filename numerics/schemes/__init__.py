"""Initialisation schemes by name, and the two ways to use one."""

import torch

from numerics.models.spec import ModelSpec
from numerics.models.transformer import Transformer
from numerics.schemes.post_ln import POST_LN
from numerics.schemes.pre_ln import PRE_LN
from numerics.schemes.scheme import Prescription as Prescription
from numerics.schemes.scheme import Scheme as Scheme
from numerics.schemes.tfixup import TFIXUP, TFIXUP_ADAM, TFIXUP_CODE
from numerics.schemes.xavier import XAVIER
from theory.errors import nearest

SCHEMES = {
    scheme.name: scheme for scheme in (TFIXUP, TFIXUP_CODE, TFIXUP_ADAM, XAVIER, POST_LN, PRE_LN)
}


def scheme_named(name: str) -> Scheme:
    """Look a scheme up; an unknown name is an error that offers the nearest known one."""
    if name not in SCHEMES:
        raise nearest(name, SCHEMES, "scheme")
    return SCHEMES[name]


def build(
    scheme: str | Scheme,
    spec: ModelSpec,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """A Transformer of ``spec`` with the scheme's wiring, drawn from ``generator``.

    Examples
    --------
    >>> model = build("tfixup", ModelSpec(2, 2), torch.Generator().manual_seed(0))
    >>> round(float(model.encoder[0].mlp.branch.w1.detach().std()) * 96**0.5, 1)  # 0.67 / 2^(1/4)
    0.6
    """
    chosen = scheme_named(scheme) if isinstance(scheme, str) else scheme
    with torch.device(device):
        model = Transformer(chosen.adapt(spec)).to(dtype)
    chosen.initialize_(model, generator)
    return model
