"""Foreign models by family: drawn by any recipe, the audit by that recipe is clean."""

import importlib
import os

import pytest
import torch

from numerics.own_model.audit.audit import audit
from numerics.recipes.initialize import initialize_
from tests.models.expected import ForeignModel

os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.models]
SOME = (
    *("GPT-2", "GPT-NeoX", "Falcon", "Llama", "Gemma 2", "Granite", "BERT", "T5", "BART"),
    *("Mixtral", "llama2.c-like", "nanoGPT-like", "experts in three axes"),
)
"""Packed by columns, by head and by group, split, stored as gain − 1, with multipliers, Post-LN,
two stacks, experts, by hand."""
FEW = ("gpt2", "tfixup", "deepnorm", "t5", "mitchell", "torch", "r-fixup", "dt-fixup")
"""Recipes that are tried on each; all of them on the decoder written by hand."""


def models() -> dict[str, ForeignModel]:
    found: dict[str, ForeignModel] = {}
    for module in ("decoders", "encoders", "encoder_decoders", "experts", "handwritten_models"):
        for value in vars(importlib.import_module(f"tests.models.{module}")).values():
            if isinstance(value, (list, tuple)):
                found |= {m.name: m for m in value if isinstance(m, ForeignModel)}
    return found


@pytest.mark.parametrize("name", SOME)
def test_drawn_by_a_recipe_the_audit_is_clean(name: str) -> None:
    known = models()
    if known[name].library == "transformers":
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    model, batch = known[name].build()
    for recipe in FEW:
        done = initialize_(model, recipe, torch.Generator().manual_seed(0), batch)
        found = audit(model, recipe, batch)
        assert found.clean, (recipe, [f.text for f in found.faults])
        assert done.recipe.name == recipe
