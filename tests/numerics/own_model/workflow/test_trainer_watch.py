"""The callback in a real run of Hugging Face's Trainer."""

from typing import Any

import pytest
import torch

from numerics.own_model.workflow.step_watch import StepWatch
from numerics.own_model.workflow.trainer_watch import watch_trainer

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
RATE = 1e-3


def model():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=32
    )
    return transformers.GPT2LMHeadModel(config)


def data(count=32):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(50, (count, 8), generator=generator)
    return [{"input_ids": row, "labels": row} for row in ids]


def trained(folder, *, watched, steps=5):
    mine = model()
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
    )
    trainer = transformers.Trainer(model=mine, args=arguments, train_dataset=data())
    probe = {"input_ids": torch.stack([row["input_ids"] for row in data(2)])}
    callback: Any = watch_trainer(trainer, probe, every=2) if watched else None
    trainer.train()
    return trainer, callback, probe


def test_it_logs_every_second_step_where_the_trainer_logs(tmp_path):
    trainer, callback, _ = trained(tmp_path, watched=True)
    assert [step for step, _ in callback.history] == [0, 2, 4]
    logged = [entry for entry in trainer.state.log_history if "update/total" in entry]
    assert [entry["update/total"] for entry in logged] == [
        values["update/total"] for _, values in callback.history
    ]
    for _, values in callback.history:
        assert values["update/total"] > 0
        assert {"update/q", "update/embedding", "norm_input/transformer.ln_f"} <= set(values)
        assert -1 <= values["coherence/stream"] <= 1


def test_watching_does_not_change_the_training(tmp_path):
    ends = []
    for watched in (False, True):
        trainer, _, _ = trained(tmp_path / str(watched), watched=watched)
        ends.append({n: p.detach().clone() for n, p in trainer.model.named_parameters()})
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    start = dict(model().named_parameters())
    assert not all(torch.equal(ends[0][name], start[name]) for name in ends[0])


def test_the_first_step_is_adams_sign_step(tmp_path):
    """At its first step Adam moves every entry that has a gradient by η."""
    _, callback, probe = trained(tmp_path, watched=True, steps=1)
    (step, values), *rest = callback.history
    assert (step, rest) == (0, [])
    mine = model()
    opened = StepWatch(probe).before(mine)
    trainer, _, _ = trained(tmp_path / "again", watched=False, steps=1)
    with torch.no_grad():
        for name, p in mine.named_parameters():
            moved = trainer.model.get_parameter(name) - p
            assert float(moved.abs().max()) == pytest.approx(RATE, rel=1e-2)
            p.add_(moved)
    assert opened.after(mine, RATE)["update/total"] == pytest.approx(
        values["update/total"], rel=1e-3
    )
