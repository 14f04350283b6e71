"""``tfixup solve``: the scales that a stack's conditions prescribe, as formulas and numbers."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Solve:
    """Solve the conditions of an encoder-decoder for its scales.

    Each scale multiplies Xavier (matrices v, w of attention, both of an MLP) or an input of
    RMS 1 per coordinate (embeddings).
    """

    encoder_layers: int = 6
    """N_e."""
    decoder_layers: int = 6
    """N_d."""
    optimizer: str = "sgd"
    """sgd, or sign (adam: its first step)."""
    input_depth: str = "encoder"
    """Depth that sets the encoder's input norm: encoder (the official code) or decoder (the
    paper)."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print scales, formulas and the conditions' left sides."""
        import sympy as sp

        from theory.errors import require_positive
        from theory.scales import left_sides, solve
        from theory.update_rules import rule_named

        require_positive(encoder_layers=self.encoder_layers, decoder_layers=self.decoder_layers)
        rule = rule_named(self.optimizer)
        general = solve(rule, input_depth=self.input_depth)
        solved = solve(
            rule,
            sp.Integer(self.encoder_layers),
            sp.Integer(self.decoder_layers),
            input_depth=self.input_depth,
        )
        names = ("encoder", "decoder", "source", "target")
        scales = {
            name: {
                "value": float(getattr(solved, name)),
                "formula": sp.sstr(getattr(general, name)),
            }
            for name in names
        }
        sides = {name: float(side) for name, side in left_sides(solved).items()}
        if self.json:
            print(
                json.dumps(
                    {
                        "architecture": "encoder-decoder",
                        "encoder_layers": self.encoder_layers,
                        "decoder_layers": self.decoder_layers,
                        "optimizer": rule.name,
                        "input_depth": self.input_depth,
                        "scales": scales,
                        "conditions": sides,
                    },
                    indent=1,
                )
            )
        else:
            _print_table(self, scales, sides)
        return 0


def _print_table(
    query: Solve, scales: dict[str, dict[str, object]], sides: dict[str, float]
) -> None:
    from rich.console import Console
    from rich.table import Table

    meaning = {
        "encoder": "v_e = w_e: attention v and output, both MLP matrices of the encoder",
        "decoder": "v_d = w_d: the same of the decoder",
        "source": "x: source embeddings",
        "target": "y = m: target embeddings",
    }
    table = Table(
        title=f"N_e = {query.encoder_layers}, N_d = {query.decoder_layers}, {query.optimizer}"
    )
    for column in ("factor on Xavier for", "value", "formula"):
        table.add_column(column)
    for name, entry in scales.items():
        table.add_row(meaning[name], f"{entry['value']:.12f}", str(entry["formula"]))
    console = Console()
    console.print(table)
    console.print(
        "left sides of the conditions at these scales: "
        + ", ".join(f"{name} {side:.12g}" for name, side in sides.items())
    )
