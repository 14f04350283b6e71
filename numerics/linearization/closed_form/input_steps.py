"""How a step moves the embedded inputs: by their own step, or by that of the tables behind them.

With inputs ``free`` the embedded inputs are parameters themselves. With inputs ``table`` an input
is c e[token] + s p[position], c the embedding multiplier and s the position scale, and the tables e
and p are the parameters; a table that both stacks read has one gradient, the sum.

Rows stand sequence by sequence: row n is token n mod T of sequence n // T. Suffixes as in
``mlp_and_norm.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from numerics.linearization.measured_function import InputKind
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch

_INPUTS = ("source", "target")
_TABLES = ("source_embedding", "target_embedding", "source_positions", "target_positions")


@dataclass(frozen=True)
class _Read:
    """The rows of one table that one input reads."""

    name: str
    """Name of the input."""
    table: str
    """Name of the table."""
    rows_N: Int[Tensor, " N"]
    shape: torch.Size
    """Shape of the table."""
    factor: float


def embedding_gradients(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    cotangents: Mapping[str, Tensor],
    inputs: InputKind,
) -> dict[str, Tensor]:
    """Gradients of the embedded inputs (G, N, D), or of the tables (G, V, D), by name.

    ``cotangents`` are those of the embedded inputs, (G, N, D) by name.
    """
    if inputs == "free":
        return {name: cotangents[name] for name in _INPUTS if name in cotangents}
    each = [_reads(model, batch) for model, batch in zip(models, batches, strict=True)]
    found = [_table_gradients(reads, cotangents, g) for g, reads in enumerate(each)]
    return {table: torch.stack([one[table] for one in found]) for table in found[0]}


def input_moves(
    models: Sequence[Transformer],
    batches: Sequence[TokenBatch],
    steps: Mapping[str, Tensor],
    inputs: InputKind,
) -> dict[str, Tensor]:
    """Tangents of the embedded inputs, (G, N, D) by name, from the steps of `embedding_gradients`.

    The steps have the names of the gradients that they were made of.
    """
    if inputs == "free":
        return dict(steps)
    each = []
    for g, (model, batch) in enumerate(zip(models, batches, strict=True)):
        own = {name: step[g] for name, step in steps.items()}
        each.append(_moves(_reads(model, batch), own))
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def _table_gradients(
    reads: Sequence[_Read], cotangents: Mapping[str, Tensor], model: int
) -> dict[str, Tensor]:
    """The gradient of every table of one model, by name."""
    tables: dict[str, Tensor] = {}
    for read in reads:
        c_ND = cotangents[read.name][model]
        gradient = tables.setdefault(read.table, c_ND.new_zeros(read.shape))
        gradient.index_add_(0, read.rows_N, c_ND, alpha=read.factor)
    return tables


def _moves(reads: Sequence[_Read], steps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How the steps of one model's tables move its inputs."""
    moves: dict[str, Tensor] = {}
    for read in reads:
        own_ND = steps[read.table][read.rows_N] * read.factor
        moves[read.name] = moves[read.name] + own_ND if read.name in moves else own_ND
    return moves


def _reads(model: Transformer, batch: TokenBatch) -> list[_Read]:
    present = {"source": model.spec.has_encoder, "target": model.spec.has_decoder}
    return [read for name in _INPUTS if present[name] for read in _reads_of(model, batch, name)]


def _reads_of(model: Transformer, batch: TokenBatch, name: str) -> list[_Read]:
    source = name == "source"
    tokens_BT = batch.source_BS if source else batch.target_BT
    embedding = model.source_embedding if source else model.target_embedding
    positions = model.source_positions if source else model.target_positions

    def read(table: Tensor, rows_N: Tensor, factor: float) -> _Read:
        # A table that both stacks read has one name, under which its gradients are summed.
        first = next(own for own in _TABLES if getattr(model, own) is table)
        return _Read(name, first, rows_N, table.shape, factor)

    # (B, T) to (N,): the tokens of one sequence after those of another.
    reads = [read(embedding, tokens_BT.flatten(), model.spec.multiplier)]
    if positions is not None:
        sequences, t = tokens_BT.shape
        place_N = torch.arange(t, device=tokens_BT.device).repeat(sequences)
        reads.append(read(positions, place_N, model.spec.position_scale))
    return reads
