"""Mistakes in intervals, decisions, verdicts, training and stored results."""

from tests.faults.fault import Fault

STATISTICS_FAULTS = (
    Fault(
        "an equivalence margin doubled",
        "numerics/statistics/estimates.py",
        "self.inside(target - margin, target + margin)",
        "self.inside(target - 2 * margin, target + 2 * margin)",
        ("tests/numerics/statistics/test_estimates.py::test_the_margin_is_what_is_said[-1.0]",),
    ),
    Fault(
        "an interval that touches counts as inside",
        "numerics/statistics/estimates.py",
        "if low <= self.low and self.high <= high:",
        "if low <= self.value <= high:",
        ("tests/numerics/statistics/test_estimates.py::test_a_decision_needs_the_whole_interval",),
    ),
    Fault(
        "an undecided part makes the whole true",
        "numerics/statistics/estimates.py",
        "return True if found and all(decision is True for decision in found) else None",
        "return True if found else None",
        (
            "tests/numerics/statistics/test_estimates.py::test_one_refusal_decides_and_one_doubt_leaves_it_open",
        ),
    ),
    Fault(
        "a table's intervals at the level of one",
        "numerics/statistics/estimates.py",
        "return confidence ** (1 / count)",
        "return confidence",
        ("tests/numerics/statistics/test_estimates.py::test_levels_multiply",),
    ),
    Fault(
        "scatter without the leverage",
        "numerics/statistics/exponents.py",
        "(centred / spread * residuals / (1 - leverage)) ** 2",
        "(centred / spread * residuals) ** 2",
        (
            "tests/numerics/statistics/test_exponents.py::test_the_interval_covers_95_percent_whether_the_scatter_is_equal_or_not[equal-4-2]",
        ),
    ),
    Fault(
        "growth decided without evidence",
        "numerics/statistics/growth_forms.py",
        "- deficit[best] < asked:",
        "- deficit[best] < 0:",
        (
            "tests/numerics/statistics/test_growth_laws.py::test_scatter_that_hides_the_law_is_undecided[0.0]",
        ),
    ),
    Fault(
        "a control that was not rejected counts",
        "theory/claims.py",
        "return self.passed is not None and self.control.rejected",
        "return self.passed is not None",
        (
            "tests/theory/test_claims.py::test_the_verdict_is_computed_from_the_admissible_evidence[evidence4-undecided]",
        ),
    ),
    Fault(
        "training alone makes a claim fail",
        "theory/claims.py",
        "if any(item.kind is not Kind.TRAINING or item.neighbourhood for item in failed):",
        "if failed:",
        ("tests/theory/test_claims.py::test_training_alone_neither_proves_nor_refutes",),
    ),
    Fault(
        "a decision window moved",
        "numerics/training/experiments/plateau.py",
        "TIMES = 20",
        "TIMES = 2",
        (
            "tests/numerics/training/experiments/test_known_truth.py::test_the_rule_says_what_is_true",
        ),
    ),
    Fault(
        "worse than chance counts as trained",
        "numerics/training/outcome.py",
        "if uniform_loss < unigram_loss:",
        "if uniform_loss < 0:",
        (
            "tests/numerics/training/test_outcome.py::test_worse_than_chance_is_not_trained_because_the_unigram_is_worse_still",
        ),
    ),
    Fault(
        "trained by the mean without its interval",
        "numerics/training/outcome.py",
        "elif gain.low > margin:",
        "elif gain.value > margin:",
        ("tests/numerics/training/test_outcome.py::test_the_margin_decides_with_its_interval",),
    ),
    Fault(
        "the inverse root decays as 1/t",
        "numerics/training/schedules.py",
        "math.sqrt(held / step) if",
        "(held / step) if",
        ("tests/numerics/training/test_schedules.py::test_inverse_root_is_vaswanis_formula",),
    ),
    Fault(
        "RAdam adapts from ρ > 3",
        "theory/radam/rectification.py",
        'Behaviour("paper", 4,',
        'Behaviour("paper", 3,',
        (
            "tests/theory/radam/test_rectification.py::test_three_behaviours_bear_the_one_name[paper-adaptive0-True]",
        ),
    ),
    Fault(
        "smoothed labels' gradient V times too large",
        "numerics/training/objective.py",
        "(ctx.smoothing / slopes_NV.shape[1])",
        "ctx.smoothing",
        ("tests/numerics/training/test_objective.py::test_gradient_against_torch[dtype0-0.1]",),
    ),
    Fault(
        "a changed shard is believed",
        "numerics/sweeps/shard.py",
        "if checksum and sha256_of(path)",
        "if not checksum and sha256_of(path)",
        ("tests/numerics/sweeps/test_run.py::test_a_killed_sweep_goes_on_where_it_stopped",),
    ),
    Fault(
        "brackets in a folder's name stand for other folders",
        "numerics/sweeps/shard.py",
        "pl.scan_parquet(path, glob=False)",
        "pl.scan_parquet(path, glob=True)",
        ("tests/numerics/sweeps/test_run.py::test_the_name_of_a_folder_is_no_pattern",),
    ),
    Fault(
        "failed tasks' rows counted as measured",
        "numerics/sweeps/store.py",
        'stored.filter(pl.col("error").is_null()).unique(',
        "stored.unique(",
        (
            "tests/numerics/sweeps/test_run.py::test_a_task_that_fails_twice_becomes_a_row_and_is_tried_again",
        ),
    ),
    Fault(
        "a checkpoint's seal not compared",
        "numerics/stores/seals.py",
        "if hashlib.sha256(body).hexdigest().encode() != footer:",
        "if not footer:",
        ("tests/numerics/stores/test_seals.py::test_one_changed_bit_is_found_wherever_it_is",),
    ),
    Fault(
        "two writers share one folder",
        "numerics/stores/folder.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (
            "tests/numerics/stores/test_folder.py::test_one_process_writes_at_a_time_and_a_dead_one_lets_go",
        ),
    ),
    Fault(
        "the range tried read from the quick runs",
        "numerics/evidence/readings.py",
        "EXPERIMENTS[name].full",
        "EXPERIMENTS[name].quick",
        ("tests/numerics/evidence/test_readings.py::test_the_page_is_up_to_date",),
    ),
)
