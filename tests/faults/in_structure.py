"""Mistakes in what is said of somebody's own model: its structure, its audit, its check."""

from tests.faults.fault import Fault

STRUCTURE_FAULTS = (
    Fault(
        "query and key exchanged",
        "numerics/structure/attention.py",
        "return AttentionCall(query.node, key.node, other.node, first.node, second.node)",
        "return AttentionCall(key.node, query.node, other.node, first.node, second.node)",
        ("tests/models/test_structures.py::test_structure_is_right[llama2.c-like]",),
    ),
    Fault(
        "a norm after the branch taken for one before",
        "numerics/structure/wiring.py",
        "                before,\n                _norm_after(parts, branch),",
        "                _norm_after(parts, branch),\n                before,",
        ("tests/models/test_structures.py::test_structure_is_right[wiring pre]",),
    ),
    Fault(
        "the shortcut's norm overlooked",
        "numerics/structure/wiring.py",
        "norm_on_stream=True, norm_free_shortcut=False",
        "norm_on_stream=True, norm_free_shortcut=True",
        ("tests/models/test_structures.py::test_structure_is_right[wiring post]",),
    ),
    Fault(
        "a branch's multiplier without its sign",
        "numerics/structure/wiring.py",
        "_times(multiplier, branch.addition.sign)",
        "multiplier",
        ("tests/numerics/structure/test_additions.py::test_multipliers[<lambda>-1.0--1.0]",),
    ),
    Fault(
        "a depth law that is never linear",
        "numerics/structure/depth.py",
        "slope = (counts[-1] - counts[0]) / (ordered[-1] - ordered[0])",
        "slope = counts[-1] / ordered[-1]",
        (
            "tests/numerics/structure/test_depth.py::test_a_factory_that_ignores_its_argument_is_told",
        ),
    ),
    Fault(
        "the sample's kurtosis by the variance",
        "numerics/own_model/audit/sample.py",
        "/ variance**2 if variance",
        "/ variance if variance",
        (
            "tests/numerics/own_model/audit/test_sample.py::test_shapes_are_told_apart[draw0-normal-1000]",
        ),
    ),
    Fault(
        "an audit that takes 1/√2 for nothing",
        "numerics/own_model/audit/scale_findings.py",
        "abs(factor * 2**0.5 - 1) > CLOSE",
        "abs(factor - 1) > CLOSE",
        (
            "tests/numerics/own_model/audit/test_cases_modules.py::test_case_b1_packed_q_k_v_have_half_the_variance[None-0.7071]",
        ),
    ),
    Fault(
        "copied layers never seen",
        "numerics/own_model/audit/tensor_findings.py",
        "across = [group for group in groups if len({r.place.layer for r in group}) > 1]",
        "across = [group for group in groups if len({r.place.layer for r in group}) > 99]",
        (
            "tests/numerics/own_model/audit/test_cases_modules.py::test_case_d1_torchs_encoder_copies_and_torchs_transformer_does_not",
        ),
    ),
    Fault(
        "flat decided by the value without its interval",
        "numerics/statistics/growth_laws.py",
        "    if fit.interval[1] <= flat:\n        why",
        "    if fit.value <= flat:\n        why",
        (
            "tests/numerics/statistics/test_boundedness.py::test_a_flat_line_through_scatter_is_open",
        ),
    ),
    Fault(
        "growth that reaches infinity called open",
        "numerics/statistics/growth_laws.py",
        "return GrowthLaw(None, True, NoExponent(reason), {}, {}, reason)",
        "return GrowthLaw(None, None, NoExponent(reason), {}, {}, reason)",
        (
            "tests/numerics/statistics/test_boundedness.py::test_overflow_grows_and_zeros_are_bounded",
        ),
    ),
    Fault(
        "the driver of growth is the one that falls",
        "numerics/own_model/check/advice.py",
        "max(g.series.last - g.series.first, 0.0)",
        "max(g.series.first - g.series.last, 0.0)",
        ("tests/numerics/cli/test_check.py::test_newcomers_decoder_grows",),
    ),
    Fault(
        "a packed axis transposed",
        "numerics/structure/product_views.py",
        'along = "contracted" if columns else "free"',
        'along = "free" if columns else "contracted"',
        ("tests/models/test_structures.py::test_structure_is_right[nanoGPT-like]",),
    ),
)
