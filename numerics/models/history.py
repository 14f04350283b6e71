"""DLCL (Wang et al., ACL 2019): every layer reads a weighted sum of all layers below it.

With y_0 the embedded input and y_k the output of layer k,

    Pre-LN    x_{l+1} = Σ_{k≤l} W_k^{(l+1)} LN_k(y_k),
    Post-LN   x_{l+1} = LN_l(Σ_{k≤l} W_k^{(l+1)} y_k),

W is lower triangular with one row per reader (N layers and the output); its rows start as averages.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.models.norms import LAYER_NORM, NormTraits, make_norm


class LayerHistory(nn.Module):
    """The weights W and layer norms of one stack's history."""

    def __init__(
        self, layers: int, d_model: int, *, norm_first: bool, norm: NormTraits = LAYER_NORM
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.weights = nn.Parameter(torch.empty(layers + 1, layers + 1))
        self.norms = nn.ModuleList(
            make_norm(norm, d_model) or nn.Identity() for _ in range(layers + 1)
        )

    def forward(
        self, y_BTD: Float[Tensor, "B T D"], level: int, sums_RBTD: Tensor | None
    ) -> tuple[Float[Tensor, "B T D"], Tensor]:
        """What the next layer reads, x_{l+1}, and the sums so far of the R readers after it.

        y_l is added to every sum to come at once: N operations instead of N²/2.
        """
        norm = self.norms[level]
        share_BTD = norm(y_BTD) if self.norm_first else y_BTD
        shares_RBTD = self.weights[level:, level].view(-1, 1, 1, 1) * share_BTD
        found_RBTD = shares_RBTD if sums_RBTD is None else sums_RBTD + shares_RBTD
        mixed_BTD = found_RBTD[0]
        return (mixed_BTD if self.norm_first else norm(mixed_BTD)), found_RBTD[1:]


def row_averages(rows: int) -> Float[Tensor, "N N"]:
    """A matrix whose row l averages its first l entries, with 1/l on each, in float64.

    Examples
    --------
    >>> row_averages(3)[2].tolist()[2] * 3
    1.0
    """
    ones = torch.ones(rows, rows, dtype=torch.float64).tril()
    return ones / ones.sum(1, keepdim=True)
