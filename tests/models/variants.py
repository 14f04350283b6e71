"""Further models written by hand: free layouts, and streams with something more than x + F(x)."""

from functools import partial
from typing import Any

from tests.models.expected import ForeignModel, parts
from tests.models.handwritten import layouts, residuals
from tests.models.handwritten.layouts import make as make_layout
from tests.models.handwritten.residuals import make as make_residual

SQRT_HALF = 0.5**0.5
PACKED = {"*in_proj_weight": parts(0, q=32, k=32, v=32), "*out_proj.weight": "out"}


def _own(name: str, build: Any, kinds: str, **rest: Any) -> ForeignModel:
    return ForeignModel(name, name, build, kinds, library="torch", quick=True, **rest)


def _thirds(*starts: int) -> tuple[int, tuple[int, ...]]:
    return 0, tuple(row for start in starts for row in range(start, 96, 3))


VARIANTS = [
    _own(
        "matrices per head",
        partial(make_layout, layouts.PerHead),
        "smsm",
        final_norm=False,
        roles={"a.*": "q", "b.*": "k", "c.*": "v", "d.*": "out", "f.*": "w_in", "g.*": "w_out"},
    ),
    _own(
        "q, k, v on the fastest axis",
        partial(make_layout, layouts.Fastest),
        "sgsg",
        final_norm=False,
        roles={
            "qkv.*.weight": {"q": _thirds(0), "k": _thirds(1), "v": _thirds(2)},
            "enter.*.weight": parts(0, w_in=64, gate=64),
            "leave.*.weight": "w_out",
        },
    ),
    _own(
        "addmm onto the stream",
        partial(make_layout, layouts.AddedProduct),
        "smsm",
        final_norm=False,
        roles={"qkv.*.weight": parts(0, q=32, k=32, v=32), "out.*": "out", "leave.*": "w_out"},
    ),
    _own(
        "linear attention",
        partial(make_layout, layouts.Linear),
        "ss",
        final_norm=False,
        roles={"qkv.*.weight": parts(0, q=32, k=32, v=32), "out.*.weight": "out"},
    ),
    _own(
        "low-rank updates",
        partial(make_layout, layouts.LowRank),
        "ss",
        final_norm=False,
        roles={
            "q.*.weight": "q",
            "down_q.*": "q",
            "up_q.*": "q",
            "v.*": "v",
            "down_v.*": "v",
            "up_v.*": "v",
        },
    ),
    _own(
        "sums rescaled",
        partial(make_residual, residuals.Rescaled, 3),
        "mmm",
        final_norm=False,
        multipliers=(SQRT_HALF, SQRT_HALF),
    ),
    _own(
        "embedding and values mixed in",
        partial(make_residual, residuals.Injected, 1),
        "sm",
        roles={
            "leave.*.weight": "w_out",
            "up.*.weight": "w_out",
            "down.*.weight": "other",
        },
    ),
    _own(
        "latents",
        partial(make_residual, residuals.Latents),
        "csmsm",
        final_norm=False,
        roles={
            "latents": "embedding",
            "*k_proj_weight": "k",
            "*q_proj_weight": "q",
            "blocks.*.in_proj_weight": parts(0, q=32, k=32, v=32),
            "enter.weight": "embedding",
        },
    ),
    _own(
        "conditioned",
        partial(make_residual, residuals.Conditioned),
        "smsm",
        multipliers=(1.0, None),
        roles=PACKED | {"modulation.*.weight": "other", "enter.*.weight": "w_in"},
    ),
    _own("hourglass", partial(make_residual, residuals.Hourglass), ""),
    _own("highway", partial(make_residual, residuals.Highway), ""),
    _own("joint attention of two streams", partial(make_residual, residuals.Joint), ""),
]
