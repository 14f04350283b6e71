"""Initialisation schemes by name, and how to build a model with one."""

import torch

from numerics.models.spec import ModelSpec
from numerics.models.transformer import Transformer
from numerics.schemes.admin import ADMIN, ADMIN_CODE, ADMIN_LOG, ADMIN_ONE, ADMIN_SQRT
from numerics.schemes.deepnorm import DEEPNORM, DEEPNORM_TORCHSCALE
from numerics.schemes.dlcl import DLCL_POST, DLCL_PRE
from numerics.schemes.ds_init import DS_INIT, DS_INIT_CODE
from numerics.schemes.dt_fixup import DT_FIXUP
from numerics.schemes.lri import LRI_SCHEME
from numerics.schemes.post_ln import POST_LN
from numerics.schemes.pre_ln import PRE_LN
from numerics.schemes.r_fixup import R_FIXUP
from numerics.schemes.rezero import REZERO
from numerics.schemes.scheme import Prescription as Prescription
from numerics.schemes.scheme import Scheme as Scheme
from numerics.schemes.tfixup import TFIXUP, TFIXUP_ADAM, TFIXUP_CODE
from numerics.schemes.xavier import XAVIER
from theory.errors import nearest

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        *(TFIXUP, TFIXUP_CODE, TFIXUP_ADAM, XAVIER, POST_LN, PRE_LN),
        *(ADMIN, ADMIN_CODE, ADMIN_LOG, ADMIN_SQRT, ADMIN_ONE),
        *(R_FIXUP, DS_INIT, DS_INIT_CODE, LRI_SCHEME, DLCL_PRE, DLCL_POST, REZERO),
        *(DEEPNORM, DEEPNORM_TORCHSCALE, DT_FIXUP),
    )
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
