"""Mistakes in the numbers of schemes and recipes, and in what recipes write where."""

from tests.faults.fault import Fault

SCHEME_FAULTS = (
    Fault(
        "Xavier with 3 for 6",
        "numerics/schemes/scheme.py",
        "gain * (6 / (fan_in + fan_out))",
        "gain * (3 / (fan_in + fan_out))",
        ("tests/numerics/schemes/test_schemes.py::test_variances[admin]",),
    ),
    Fault(
        "T-Fixup's decoder counted with two blocks",
        "numerics/schemes/tfixup.py",
        "return (9 * spec.decoder_layers) ** -0.25\n    return (6",
        "return (6 * spec.decoder_layers) ** -0.25\n    return (6",
        ("tests/numerics/schemes/test_schemes.py::test_variances[tfixup]",),
    ),
    Fault(
        "Admin's variances do not add up",
        "numerics/schemes/admin.py",
        "total = total + variance",
        "total = variance",
        ("tests/numerics/schemes/test_admin.py::test_admin_of_the_paper_is_its_sum",),
    ),
    Fault(
        "GPT-2's √(2N) as √N",
        "numerics/schemes/gpt2.py",
        "spec.stack_blocks(stack) ** 0.5",
        "spec.layers(stack) ** 0.5",
        ("tests/numerics/schemes/test_modern_schemes.py::test_standard_deviations[gpt2]",),
    ),
    Fault(
        "DeepNorm's α of an encoder-decoder with 2M for 3M",
        "numerics/schemes/deepnorm.py",
        "decoder_shortcut=(3 * spec.decoder_layers)",
        "decoder_shortcut=(2 * spec.decoder_layers)",
        ("tests/numerics/schemes/test_schemes.py::test_deepnorms_published_numbers[6-published0]",),
    ),
    Fault(
        "u-μP's branch without its normalisation",
        "numerics/schemes/u_mup.py",
        "(square / (1 + square)) ** 0.5",
        "square ** 0.5",
        (
            "tests/numerics/schemes/test_modern_schemes.py::test_weights_of_shortcut_and_branch_keep_the_variance[u-mup]",
        ),
    ),
    Fault(
        "CompleteP's rate grows with the width",
        "numerics/schemes/completep.py",
        '{"matrices": rate / width',
        '{"matrices": rate * width',
        ("tests/numerics/schemes/test_modern_schemes.py::test_rates_by_role",),
    ),
    Fault(
        "depth-μP's rate as 1/N",
        "numerics/schemes/depth_mup.py",
        "rate = (self.base_layers / layers_of(spec)) ** 0.5",
        "rate = self.base_layers / layers_of(spec)",
        ("tests/numerics/schemes/test_rates.py::test_a_sweep_takes_the_schemes_rates",),
    ),
    Fault(
        "a cut normal of the uncut width",
        "numerics/schemes/draws.py",
        ".mul_(2).sub_(1).mul_(inside))",
        ".mul_(2).sub_(1))",
        ("tests/numerics/schemes/test_modern_schemes.py::test_cut_normals_shrink[2.0]",),
    ),
    Fault(
        "recipe gpt2's √(2N) as √N",
        "numerics/recipes/gpt2.py",
        "additions(place, setting) ** 0.5",
        "(additions(place, setting) / 2) ** 0.5",
        ("tests/numerics/recipes/test_recipes.py::test_case_a1_gpt2s_writers[12-0.0040825]",),
    ),
    Fault(
        "recipe mitchell's √(2l) as √l",
        "numerics/recipes/mitchell.py",
        "shrink = 2 * place.layer",
        "shrink = place.layer",
        ("tests/numerics/recipes/test_recipes.py::test_mitchell_and_llama_by_layer",),
    ),
    Fault(
        "recipe t5's q without 1/√d'",
        "numerics/recipes/t5.py",
        "normal((fan_in * setting.head_width) ** -0.5)",
        "normal(fan_in**-0.5)",
        ("tests/numerics/recipes/test_recipes.py::test_t5_at_the_width_of_its_test",),
    ),
    Fault(
        "a recipe's role exchanged: writers take the readers' scale",
        "numerics/recipes/from_scheme.py",
        '_MLP = {"w_in": "w1", "gate": "w1", "w_out": "w2"}',
        '_MLP = {"w_in": "w2", "gate": "w2", "w_out": "w1"}',
        (
            "tests/numerics/recipes/test_recipes.py::test_every_scheme_is_a_recipe_with_its_own_numbers[lri]",
        ),
    ),
    Fault(
        "packed rows written where q stands",
        "numerics/recipes/initialize.py",
        "target.index_copy_(view.axis, rows, values)",
        "target.index_copy_(view.axis, torch.arange(len(rows)), values)",
        (
            "tests/numerics/own_model/audit/test_cases_ends.py::test_packed_and_split_layouts_get_the_same_numbers",
        ),
    ),
    Fault(
        "a tied table drawn as an embedding",
        "numerics/recipes/asked.py",
        'if place.role == "embedding" and place.tied and draw is not None:',
        'if place.role == "position" and place.tied and draw is not None:',
        (
            "tests/numerics/own_model/audit/test_cases_ends.py::test_case_c3_one_tensor_two_roles_and_what_each_asks",
        ),
    ),
)
