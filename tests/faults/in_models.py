"""Mistakes in the models: what they compute and what their tensors are called."""

from tests.faults.fault import Fault

MODEL_FAULTS = (
    Fault(
        "causal mask dropped in the model",
        "numerics/models/transformer.py",
        "device=y_BTD.device).triu(1)",
        "device=y_BTD.device).triu(t)",
        (
            "tests/numerics/models/test_models.py::test_agrees_with_torch_given_its_weights[wiring0]",
        ),
    ),
    Fault(
        "causal mask lets the next token be seen",
        "numerics/models/transformer.py",
        "device=y_BTD.device).triu(1)",
        "device=y_BTD.device).triu(2)",
        (
            "tests/numerics/models/test_models.py::test_agrees_with_torch_given_its_weights[wiring0]",
        ),
    ),
    Fault(
        "layer norm's ε wrong in both engines",
        "numerics/models/norms.py",
        "return nn.LayerNorm(width)",
        "return nn.LayerNorm(width, eps=1e-3)",
        (
            "tests/numerics/models/test_models.py::test_agrees_with_torch_given_its_weights[wiring0]",
        ),
    ),
    Fault(
        "RMS norm divides by the sum of squares",
        "numerics/models/norms.py",
        "x_D.square().mean(-1, keepdim=True)",
        "x_D.square().sum(-1, keepdim=True)",
        ("tests/numerics/models/test_traits.py::test_norms_against_torch[rms-w]",),
    ),
    Fault(
        "logits scaled by the model's width",
        "numerics/models/attention.py",
        "k_BHSK.transpose(-1, -2) * q_BHTK.shape[-1] ** power",
        "k_BHSK.transpose(-1, -2) * (q_BHTK.shape[-1] * q_BHTK.shape[-3]) ** power",
        (
            "tests/numerics/models/test_attention.py::test_both_forms_agree_to_rounding[4-dtype0-plain]",
        ),
    ),
    Fault(
        "grouped heads take turns instead of neighbouring",
        "numerics/models/attention.py",
        "k_BHSK, v_BHSK = (x.repeat_interleave(group, dim=-3) for x in (k_BHSK, v_BHSK))",
        "k_BHSK, v_BHSK = (x.repeat(1, group, 1, 1) for x in (k_BHSK, v_BHSK))",
        (
            "tests/numerics/models/test_against_hugging_face.py::test_decoders_agree_given_their_weights[gemma2]",
        ),
    ),
    Fault(
        "rotary positions turn the other way",
        "numerics/models/positions.py",
        "torch.cat([-other, one], dim=-1)",
        "torch.cat([other, -one], dim=-1)",
        (
            "tests/numerics/models/test_against_hugging_face.py::test_decoders_agree_given_their_weights[gemma2]",
        ),
    ),
    Fault(
        "packed q and k exchanged among the roles",
        "numerics/models/roles.py",
        'for i, letter in enumerate("qkv")}',
        'for i, letter in enumerate("kqv")}',
        (
            "tests/numerics/models/test_roles.py::test_a_role_of_attention_moves_its_own_projection_alone[q-0-None]",
        ),
    ),
    Fault(
        "Mix-LN has one Post-LN layer too many",
        "numerics/models/wiring.py",
        "below = layer < int(",
        "below = layer <= int(",
        (
            "tests/numerics/models/test_wirings.py::test_mix_ln_has_a_quarter_of_post_ln_layers_at_the_bottom[3-0]",
        ),
    ),
    Fault(
        "DLCL's weights see the layers above",
        "numerics/models/history.py",
        "dtype=torch.float64).tril()",
        "dtype=torch.float64)",
        ("tests/numerics/models/test_wirings.py::test_dlcl_starts_at_row_averages",),
    ),
    Fault(
        "Admin's ω on the branch instead of the skip path",
        "numerics/models/blocks.py",
        "return self.omega * y_BTD + branch_BTD",
        "return y_BTD + self.omega * branch_BTD",
        ("tests/numerics/models/test_wirings.py::test_wirings_by_their_formulas[admin]",),
    ),
    Fault(
        "embeddings without their multiplier",
        "numerics/models/transformer.py",
        "F.embedding(tokens_BT, table_VD) * self.spec.multiplier",
        "F.embedding(tokens_BT, table_VD)",
        ("tests/numerics/models/test_models.py::test_a_stack_alone_is_torchs_encoder",),
    ),
    Fault(
        "Pre-LN normalises the stream itself",
        "numerics/models/blocks.py",
        "sum_BTD = self.skip(y_BTD if onto is None else onto, branch_BTD)",
        "sum_BTD = self.skip(read_BTD if onto is None else onto, branch_BTD)",
        ("tests/numerics/models/test_wirings.py::test_wirings_by_their_formulas[pre-ln]",),
    ),
)
