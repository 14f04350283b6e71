"""Initialisation schemes by name, and how to build a model with one.

In this package N(0, s) has the *standard deviation* s, as in most code; the papers often write the
variance. Readers are the matrices that read the residual stream, and writers those that write into
it.
"""

from dataclasses import fields, replace

import torch

from numerics.models.spec import Architecture, ModelSpec
from numerics.models.transformer import Transformer
from numerics.schemes.admin import ADMIN, ADMIN_CODE, ADMIN_LOG, ADMIN_ONE, ADMIN_SQRT
from numerics.schemes.completep import COMPLETEP
from numerics.schemes.deepnorm import DEEPNORM, DEEPNORM_TORCHSCALE
from numerics.schemes.deepscalelm import DEEPSCALELM, DEEPSCALELM_CODE
from numerics.schemes.depth_mup import DEPTH_MUP
from numerics.schemes.dlcl import DLCL_POST, DLCL_PRE
from numerics.schemes.ds_init import DS_INIT, DS_INIT_CODE
from numerics.schemes.dt_fixup import DT_FIXUP
from numerics.schemes.dyt import DYT
from numerics.schemes.flat import FLAT
from numerics.schemes.gpas import GPAS
from numerics.schemes.gpt2 import GPT2_SCHEME
from numerics.schemes.layernorm_scaling import LAYERNORM_SCALING
from numerics.schemes.layerscale import LAYERSCALE
from numerics.schemes.lri import LRI_SCHEME
from numerics.schemes.mitchell import MITCHELL
from numerics.schemes.mix_ln import MIX_LN
from numerics.schemes.olmo2 import OLMO2, OLMO2_RELU
from numerics.schemes.peri_ln import PERI_LN
from numerics.schemes.post_ln import POST_LN
from numerics.schemes.pre_ln import PRE_LN
from numerics.schemes.r_fixup import R_FIXUP
from numerics.schemes.rezero import REZERO
from numerics.schemes.scheme import Prescription as Prescription
from numerics.schemes.scheme import Scheme as Scheme
from numerics.schemes.skip_init import SKIP_INIT
from numerics.schemes.small_init_wang import SMALL_INIT_WANG
from numerics.schemes.sub_ln import SUB_LN, SUB_LN_RMS, SUB_LN_TORCHSCALE
from numerics.schemes.t5 import T5_SCHEME
from numerics.schemes.tfixup import TFIXUP, TFIXUP_ADAM, TFIXUP_CODE
from numerics.schemes.torchtitan import TORCHTITAN, TORCHTITAN_W2
from numerics.schemes.u_mup import U_MUP
from numerics.schemes.user_scheme import load_user_scheme, pin, user_object, user_scheme_name
from numerics.schemes.xavier import XAVIER
from numerics.schemes.zero_out import ZERO_OUT
from theory.errors import InputError, nearest

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        *(TFIXUP, TFIXUP_CODE, TFIXUP_ADAM, XAVIER, POST_LN, PRE_LN),
        *(ADMIN, ADMIN_CODE, ADMIN_LOG, ADMIN_SQRT, ADMIN_ONE),
        *(R_FIXUP, DS_INIT, DS_INIT_CODE, LRI_SCHEME, DLCL_PRE, DLCL_POST, REZERO),
        *(DEEPNORM, DEEPNORM_TORCHSCALE, DT_FIXUP),
        *(FLAT, GPT2_SCHEME, SMALL_INIT_WANG, MITCHELL, TORCHTITAN, TORCHTITAN_W2, T5_SCHEME),
        *(
            SUB_LN,
            SUB_LN_RMS,
            SUB_LN_TORCHSCALE,
            PERI_LN,
            OLMO2,
            OLMO2_RELU,
            LAYERNORM_SCALING,
            MIX_LN,
            DYT,
        ),
        *(LAYERSCALE, ZERO_OUT, DEPTH_MUP, COMPLETEP, U_MUP, DEEPSCALELM, DEEPSCALELM_CODE),
        *(SKIP_INIT, GPAS),
    )
}


def schemes_for(architecture: Architecture) -> tuple[str, ...]:
    """Return the names of the schemes that are defined for an architecture.

    Examples
    --------
    >>> "tfixup-code" in schemes_for(Architecture.DECODER_ONLY)
    False
    """
    return tuple(name for name, one in SCHEMES.items() if architecture in one.architectures)


def scheme_named(name: str) -> Scheme:
    """Look a scheme up; numbers of it may be changed behind colons, as in ``gpt2:std=0.07``.

    ``MODULE:NAME`` and ``PATH.py:NAME`` name a scheme of the user's own
    (`numerics.schemes.user_scheme`).

    Raises
    ------
    InputError
        For an unknown scheme or number, with the closest known one.

    Examples
    --------
    >>> scheme_named("completep:embedding_std=0.1:base_layers=4").name
    'completep:embedding_std=0.1:base_layers=4'
    >>> scheme_named("gpt2:std=wide")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: std of scheme gpt2 must be a number, got 'wide'
    """
    base, *settings = name.split(":")
    if base in SCHEMES:
        scheme = SCHEMES[base]
    elif own := user_scheme_name(name):
        scheme, settings = replace(load_user_scheme(own), name=name), own.settings
    else:
        raise nearest(base, SCHEMES, "scheme")
    if not settings:
        return scheme
    changes = [_changed(scheme, setting) for setting in settings]
    return replace(scheme, name=name, **dict(changes))


def as_scheme(scheme: str | Scheme) -> Scheme:
    """The scheme that a caller means, by its name or as the object itself.

    Raises
    ------
    InputError
        If it is neither, or nothing has the name.

    Examples
    --------
    >>> as_scheme("pre-ln") is as_scheme(SCHEMES["pre-ln"])
    True
    """
    if isinstance(scheme, str):
        return scheme_named(scheme)
    if not isinstance(scheme, Scheme):
        raise InputError(f"a scheme must be a name or a tfixup.Scheme object, got {scheme!r:.60}")
    return scheme


def is_scheme(name: str) -> bool:
    """Whether a name is that of a scheme: of this package, or of the user's own.

    Examples
    --------
    >>> is_scheme("gpt2:std=0.07"), is_scheme("llama-depth"), is_scheme("math:pi")
    (True, False, False)
    """
    if name.partition(":")[0] in SCHEMES:
        return True
    own = user_scheme_name(name)
    return own is not None and isinstance(user_object(own), Scheme)


def pinned(name: str) -> str:
    """The name under which results are stored: a user's own scheme with the digest of its file.

    Examples
    --------
    >>> pinned("gpt2:std=0.07")
    'gpt2:std=0.07'
    """
    own = None if name.partition(":")[0] in SCHEMES else user_scheme_name(name)
    return name if own is None else pin(own).text


def _changed(scheme: Scheme, setting: str) -> tuple[str, float]:
    key, equals, text = setting.partition("=")
    known = [one.name for one in fields(scheme) if one.type in (float, float | None)]
    if not known:
        raise InputError(f"scheme {scheme.name} has no number to change, got {setting!r}")
    if not equals or key not in known:
        raise nearest(key, known, f"number of scheme {scheme.name}")
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{key} of scheme {scheme.name} must be a number, got {text!r}") from None
    if not abs(value) < float("inf"):
        raise InputError(f"{key} of scheme {scheme.name} must be finite, got {text}")
    return key, value


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
    chosen = as_scheme(scheme)
    with torch.device(device):
        model = Transformer(chosen.adapt(spec))
    if dtype is not torch.get_default_dtype():
        model = model.to(dtype)
    chosen.initialize_(model, generator)
    return model
