"""How a step moves the embedded inputs: by their own step, or by that of the rows they came from.

Rows stand sequence by sequence: row n is token n mod T of sequence n // T. With inputs ``table`` an
input is c e[token] + s p[position], c the embedding multiplier and s the position scale; a table
that both stacks read has one gradient, the sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from numerics.linearization.closed_form.residual_block import StepLedger
from numerics.linearization.measured_function import Inputs, TokenBatch
from numerics.models import Transformer
from numerics.models.roles import EMBEDDINGS


@dataclass(frozen=True)
class _Read:
    """Rows of one table that one input reads."""

    name: str
    """Of the input."""
    table: Tensor
    rows_N: Int[Tensor, " N"]
    factor: float


def input_steps(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Mapping[str, Tensor],
    ledger: StepLedger,
    inputs: Inputs,
) -> dict[str, Tensor]:
    """Tangents of the embedded inputs by name, (G, N, D) as their cotangents."""
    names = [name for name in ("source", "target") if name in cotangents]
    if inputs == "free":
        return {
            name: ledger.steps(EMBEDDINGS, {"inputs": cotangents[name]})["inputs"] for name in names
        }
    each = [
        [read for name in names for read in _reads(model, batch, name)]
        for model, batch in zip(models, batches, strict=True)
    ]
    found = [_table_gradients(reads, cotangents, g) for g, reads in enumerate(each)]
    # Models of one specification share the same tables among the same inputs, in the same order.
    steps = [
        ledger.steps(EMBEDDINGS, {"table": torch.stack(tables)})["table"]
        for tables in zip(*(one.values() for one in found), strict=True)
    ]
    moved = [
        _moves(reads, dict(zip(one, (step[g] for step in steps), strict=True)))
        for g, (reads, one) in enumerate(zip(each, found, strict=True))
    ]
    return {name: torch.stack([one[name] for one in moved]) for name in names}


def _table_gradients(
    reads: Sequence[_Read], cotangents: Mapping[str, Tensor], model: int
) -> dict[int, Tensor]:
    """The gradient of every table of one model, by its identity."""
    tables: dict[int, Tensor] = {}
    for read in reads:
        c_ND = cotangents[read.name][model]
        gradient = tables.setdefault(id(read.table), c_ND.new_zeros(read.table.shape))
        gradient.index_add_(0, read.rows_N, c_ND, alpha=read.factor)
    return tables


def _moves(reads: Sequence[_Read], steps: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """How the steps of one model's tables move its inputs."""
    moves: dict[str, Tensor] = {}
    for read in reads:
        own_ND = steps[id(read.table)][read.rows_N] * read.factor
        moves[read.name] = moves[read.name] + own_ND if read.name in moves else own_ND
    return moves


def _reads(model: Transformer, batch: TokenBatch, name: str) -> list[_Read]:
    source = name == "source"
    tokens_BT = batch.source_BS if source else batch.target_BT
    embedding = model.source_embedding if source else model.target_embedding
    positions = model.source_positions if source else model.target_positions
    reads = [_Read(name, embedding, tokens_BT.flatten(), model.spec.multiplier)]
    if positions is not None:
        sequences, t = tokens_BT.shape
        place_N = torch.arange(t, device=tokens_BT.device).repeat(sequences)
        reads.append(_Read(name, positions, place_N, model.spec.position_scale))
    return reads
