"""Mix-LN (Li et al., 2024): Post-LN in the lowest quarter of the layers, Pre-LN above.

The lowest ⌊N/4⌋ layers are Post-LN. All norms are RMS norms, and there is a final one. Matrices and
tables are N(0, 0.02).
"""

from numerics.models.norms import RMS_NORM
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat

MIX_LN = Flat("mix-ln", WIRINGS["mix-ln"], "Li et al., arXiv:2412.13795", norm=RMS_NORM)
