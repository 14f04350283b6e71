"""GPT-2 (Radford et al., 2019): matrices that write into the stream are narrower by 1/√(2N).

All matrices and tables are N(0, 0.02), and those that write N(0, 0.02/√B) with B residual blocks in
the stack, 2N of a decoder alone (nanoGPT ``model.py``; Megatron-LM's
``scaled_init_method_normal``). Biases are 0, layer norms the identity, positions a trained table;
logits use the embedding table.
"""

from dataclasses import dataclass

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat
from numerics.schemes.scheme import Prescription


@dataclass(frozen=True)
class GPT2(Flat):
    """One base standard deviation σ, and σ/√B for the writers of a stack of B blocks."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """The distributions, with the writers of each stack divided by the root of its own B."""
        flat = super().prescribe(spec)
        narrow = {
            role: WeightDraw(self.std / spec.stack_blocks(stack) ** 0.5, cut=self.cut)
            for role in flat.draws
            for stack in spec.stacks
            if role.startswith(stack) and role.endswith(("out_proj", "w2"))
        }
        return Prescription(factors={}, draws={**flat.draws, **narrow})


GPT2_SCHEME = GPT2("gpt2", WIRINGS["pre-ln"], "openai/gpt-2; karpathy/nanoGPT; NVIDIA/Megatron-LM")
