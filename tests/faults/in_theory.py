"""Mistakes in the conditions, the solver and the parametrisations."""

from tests.faults.fault import Fault

THEORY_FAULTS = (
    Fault(
        "the encoder's MLP not counted",
        "theory/scales/stacks.py",
        "V_E, W_E, X), layers), (mlp(V_E, W_E, X), layers)),",
        "V_E, W_E, X), layers), (mlp(V_E, W_E, X), 0 * layers)),",
        ("tests/theory/scales/test_conditions.py::test_each_equation_comes_out_of_the_stack[6]",),
    ),
    Fault(
        "the quadratic's wrong root",
        "theory/scales/solver.py",
        "(b + sp.sqrt(b**2 + 4 * a * value))",
        "(b + sp.sqrt(b**2 - 4 * a * value))",
        ("tests/theory/scales/test_solver.py::test_the_two_constants_of_the_paper",),
    ),
    Fault(
        "a sensitivity not squared",
        "theory/scales/update_rules.py",
        "power = 1 if coherent else 2",
        "power = 1",
        ("tests/theory/scales/test_conditions.py::test_each_equation_comes_out_of_the_stack[8]",),
    ),
    Fault(
        "a certificate with a negative multiple of an inequality",
        "theory/parametrisations/certificates.py",
        "signs = all(item.exact or factor >= 0 for factor, item in self.terms)",
        "signs = True",
        (
            "tests/theory/parametrisations/test_certificates.py::test_a_changed_certificate_is_rejected",
        ),
    ),
    Fault(
        "Muon's step as large as sign's",
        "theory/parametrisations/step_laws.py",
        "return HALF if self.orthogonal and matrix else sp.S.One",
        "return sp.S.One",
        ("tests/theory/parametrisations/test_families.py::test_mup_over_the_width[muon-0-0--1]",),
    ),
    Fault(
        "the stream's growth forgotten behind Pre-LN",
        "theory/parametrisations/sizes.py",
        "return passed - self.stream_size(stream, t)",
        "return passed",
        (
            "tests/theory/parametrisations/test_sizes.py::test_sums_over_layers_have_the_power_that_the_vertices_give",
        ),
    ),
    Fault(
        "equality asked for where at most is meant",
        "theory/parametrisations/conditions.py",
        "return bool(value == 0 if self.exact else value <= 0)",
        "return bool(value == 0)",
        (
            "tests/theory/parametrisations/test_judgement.py::test_depth_mup_and_completep_differ_inside_their_blocks[adamw]",
        ),
    ),
    Fault(
        "a linear program with a negative right side",
        "theory/parametrisations/linear_programs.py",
        "sign = -1 if bound < 0 else 1",
        "sign = 1",
        (
            "tests/theory/parametrisations/test_certificates.py::test_the_exact_program_agrees_with_scipy",
        ),
    ),
)
