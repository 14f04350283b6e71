"""Mistakes in the measurement: both engines, the optimizers' steps, sums by part, seeds."""

from tests.faults.fault import Fault

MEASUREMENT_FAULTS = (
    Fault(
        "causal mask dropped in the closed forms",
        "numerics/linearization/closed_form/stacks.py",
        'float("-inf")).triu(1)[None]',
        'float("-inf")).triu(t)[None]',
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[tfixup-sgd-free]",
        ),
    ),
    Fault(
        "padding seen in the closed forms",
        "numerics/linearization/closed_form/stacks.py",
        '.masked_fill(hidden_YS, float("-inf"))',
        ".masked_fill(hidden_YS, 0.0)",
        (
            "tests/numerics/measure/test_updates.py::test_layered_engine_against_automatic_differentiation[packed-tfixup-sgd-free-False]",
        ),
    ),
    Fault(
        "layer norm's ε wrong in one engine",
        "numerics/linearization/closed_form/block_weights.py",
        "NormWeights(_own_weights(norms), norms[0].eps)",
        "NormWeights(_own_weights(norms), 100 * norms[0].eps)",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[post-ln-sgd-free]",
        ),
    ),
    Fault(
        "energy counted twice in automatic differentiation",
        "numerics/linearization/autodiff.py",
        "return torch.stack(norms).square().sum()",
        "return 2 * torch.stack(norms).square().sum()",
        (
            "tests/numerics/linearization/test_autodiff.py::test_a_parameter_that_f_does_not_read_moves_nothing",
        ),
    ),
    Fault(
        "energy counted twice in the closed forms",
        "numerics/linearization/closed_form/gradients.py",
        ".to(torch.float64).square().sum(0) for part in parts",
        ".to(torch.float64).square().sum(0) * 2 for part in parts",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[tfixup-sgd-free]",
        ),
    ),
    Fault(
        "earlier gradients' sign flipped in the closed forms",
        "numerics/linearization/closed_form/gradients.py",
        "past=[before[name] for before in past]",
        "past=[-before[name] for before in past]",
        (
            "tests/numerics/measure/test_updates.py::test_both_engines_agree_on_what_an_optimizer_makes_of_earlier_gradients[free-momentum]",
        ),
    ),
    Fault(
        "earlier gradients' sign flipped in automatic differentiation",
        "numerics/linearization/autodiff.py",
        "_pull(output, theta, seen(value)) for seen",
        "_pull(output, theta, -seen(value)) for seen",
        (
            "tests/numerics/measure/test_updates.py::test_both_engines_agree_on_what_an_optimizer_makes_of_earlier_gradients[free-momentum]",
        ),
    ),
    Fault(
        "earlier cotangents equal",
        "numerics/measure/updates.py",
        "return [u, *(random_cotangent(shape, generator) for _ in range(earlier))]",
        "return [u, *(u for _ in range(earlier))]",
        (
            "tests/numerics/measure/test_updates.py::test_adam_on_noise_moves_less_than_its_first_step_by_the_derived_factor",
        ),
    ),
    Fault(
        "history runs backwards",
        "numerics/linearization/update_directions.py",
        "history = [*past, gradient]",
        "history = [gradient, *past]",
        (
            "tests/numerics/linearization/test_update_directions.py::test_a_rule_reads_its_history_first_to_last[sgd]",
        ),
    ),
    Fault(
        "total without the wiring's parts",
        "numerics/measure/updates.py",
        "float(contains(part, leaf)) for leaf",
        "float(contains(part, leaf) and leaf in ALL_PARTS) for leaf",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[pre-ln-sgd-free]",
        ),
    ),
    Fault(
        "ReZero's α missing on the branch's cotangent",
        "numerics/linearization/closed_form/residual_block.py",
        "c_GND * self.alpha, c_GND, c_memory_GMD",
        "c_GND, c_GND, c_memory_GMD",
        (
            "tests/numerics/linearization/closed_form/test_training_gradient.py::test_every_gradient_is_that_of_automatic_differentiation[packed-rezero-spec0]",
        ),
    ),
    Fault(
        "ReZero's α starts at 1",
        "numerics/schemes/scheme.py",
        '| {"scale": 1.0}',
        '| {"scale": 1.0, "alpha": 1.0}',
        (
            "tests/numerics/schemes/test_schemes.py::test_branches_that_start_at_zero_leave_the_inputs[rezero]",
        ),
    ),
    Fault(
        "Muon's factor upside down",
        "numerics/linearization/orthogonal_steps.py",
        "max(1.0, rows / columns)",
        "max(1.0, columns / rows)",
        (
            "tests/numerics/linearization/test_update_directions.py::test_pytorchs_muon_points_where_the_exact_polar_factor_does[shape0]",
        ),
    ),
    Fault(
        "Adam's average without its correction",
        "numerics/linearization/update_directions.py",
        "return mean / (1 - beta ** len(history))",
        "return mean",
        (
            "tests/numerics/linearization/test_update_directions.py::test_the_step_of_pytorchs_optimizer_is_the_direction[adam-<lambda>-1]",
        ),
    ),
    Fault(
        "Lion counts the current gradient twice",
        "numerics/linearization/update_directions.py",
        "for gradient in history[:-1]:",
        "for gradient in history:",
        (
            "tests/numerics/linearization/test_update_directions.py::test_lion_counts_the_current_gradient_in_the_step_alone",
        ),
    ),
    Fault(
        "LAMB takes packed q, k, v for one tensor",
        "numerics/linearization/update_directions.py",
        'packed = parameter.rpartition(".")[2] == "in_proj"',
        'packed = parameter.rpartition(".")[2] == "in_proj_"',
        (
            "tests/numerics/measure/test_updates.py::test_rules_that_see_whole_tensors_take_q_k_and_v_apart[lamb]",
        ),
    ),
    Fault(
        "rates given to the wrong third of q, k, v",
        "numerics/linearization/update_directions.py",
        "return factors_of(parameter, table)[part] if table else 1.0",
        "return factors_of(parameter, table)[-1 - part] if table else 1.0",
        (
            "tests/numerics/schemes/test_rates.py::test_a_step_with_rates_is_the_step_with_each_piece_times_its_factor[sign]",
        ),
    ),
    Fault(
        "cotangent not of norm 1",
        "numerics/linearization/cotangents.py",
        "unit = drawn / drawn.norm()",
        "unit = drawn",
        ("tests/numerics/measure/test_updates.py::test_worked_example_of_a_unit_cotangent",),
    ),
    Fault(
        "label's sign wrong in the loss's cotangent",
        "numerics/linearization/cotangents.py",
        "-torch.ones_like(surprise_BTV[..., :1])",
        "torch.ones_like(surprise_BTV[..., :1])",
        (
            "tests/numerics/measure/test_updates.py::test_cross_entropy_cotangent_is_the_loss_gradient",
        ),
    ),
    Fault(
        "softmax's logits by 1/d' in the closed forms",
        "numerics/linearization/closed_form/attention.py",
        "return x_XTK.shape[-1] ** -0.5",
        "return x_XTK.shape[-1] ** -1.0",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[tfixup-sgd-free]",
        ),
    ),
    Fault(
        "ReLU's derivative forgotten in the tangents",
        "numerics/linearization/closed_form/mlp_and_norm.py",
        ".mul_(self.hidden_GNF.sign()[:, :, None])",
        ".mul_(1.0)",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[tfixup-sgd-free]",
        ),
    ),
    Fault(
        "layer norm's derivative without its projection",
        "numerics/linearization/closed_form/mlp_and_norm.py",
        "centred.addcmul_(xhat, along, value=-1)",
        "centred.addcmul_(xhat, along, value=0)",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[post-ln-sgd-free]",
        ),
    ),
    Fault(
        "Admin's ω without its own step",
        "numerics/linearization/closed_form/residual_block.py",
        'steps["omega"] * self.y_GND',
        '0 * steps["omega"] * self.y_GND',
        (
            "tests/numerics/measure/test_side_by_side.py::test_every_model_gets_the_report_it_gets_alone[admin-changes3-sgd-table]",
        ),
    ),
    Fault(
        "embedding's multiplier missing in the table's steps",
        "numerics/linearization/closed_form/input_steps.py",
        "steps[read.table][read.rows_N] * read.factor",
        "steps[read.table][read.rows_N]",
        (
            "tests/numerics/measure/test_updates.py::test_exact_limit_against_the_dense_jacobian[tfixup-sgd-table]",
        ),
    ),
    Fault(
        "every finite number counts as accurate",
        "numerics/measure/accuracy.py",
        "return not report.strain <= LIMIT or min(totals) < SMALLEST",
        "return False",
        (
            "tests/numerics/measure/test_accuracy.py::test_saturated_attention_is_measured_in_float64[post-ln-3000.0-closed-form]",
        ),
    ),
    Fault(
        "a group's packed rows one matrix off",
        "numerics/linearization/groupings.py",
        "slice(number * height, (number + 1) * height)",
        "slice(number * height // 2, number * height // 2 + height)",
        (
            "tests/numerics/measure/test_by_group.py::test_groups_are_a_partition_and_add_up[tfixup-matrix]",
        ),
    ),
    Fault(
        "equal seeds",
        "numerics/sweeps/grid.py",
        "{self.depth}/{self.seed}/{purpose}",
        "{self.depth}/{purpose}",
        (
            "tests/numerics/sweeps/test_run.py::test_streams_are_shared_by_schemes_and_independent_between_points",
        ),
    ),
    Fault(
        "streams equal over depths",
        "numerics/sweeps/grid.py",
        "{self.depth}/{self.seed}/{purpose}",
        "{self.seed}/{purpose}",
        (
            "tests/numerics/sweeps/test_run.py::test_streams_are_shared_by_schemes_and_independent_between_points",
        ),
    ),
    Fault(
        "one stream for weights and cotangent",
        "numerics/sweeps/grid.py",
        "{self.depth}/{self.seed}/{purpose}",
        "{self.depth}/{self.seed}",
        (
            "tests/numerics/sweeps/test_run.py::test_streams_are_shared_by_schemes_and_independent_between_points",
        ),
    ),
)
