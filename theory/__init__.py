"""What follows from the definitions: SymPy only, and nothing else of ours."""

from theory.claims import Claim as Claim
from theory.claims import Control as Control
from theory.claims import Evidence as Evidence
from theory.claims import Kind as Kind
from theory.claims import Outcome as Outcome
from theory.claims import Reading as Reading
from theory.claims import Verdict as Verdict
from theory.claims import verdict as verdict
