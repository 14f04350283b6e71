"""The callback in a real run of Lightning's Trainer."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from numerics.own_model.workflow.lightning_watch import lightning_watch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning.pytorch")
Logger = lightning.loggers.logger.Logger

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore"),
]


class Kept(Logger):
    """Keeps what is logged."""

    name, version = "kept", 0

    def __init__(self):
        super().__init__()
        self.lines = []

    def log_metrics(self, metrics, step=None):
        self.lines.append((step, dict(metrics)))

    def log_hyperparams(self, *args, **kwargs):
        pass


class Task(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.stack(x)

    def training_step(self, batch, batch_idx):  # noqa: ARG002
        return self(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def trained(folder, *, watched, steps=5):
    lightning.seed_everything(0, verbose=False)
    task, logger = Task(), Kept()
    inputs = torch.randn(12, 4, 16, generator=torch.Generator().manual_seed(1))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs), batch_size=2)
    callback: Any = lightning_watch(inputs[:2], every=2) if watched else None
    trainer = lightning.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=logger,
        callbacks=[callback] if callback else [],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
    )
    trainer.fit(task, loader)
    return task, logger, callback


def test_it_logs_every_second_step_to_the_loggers(tmp_path):
    _, logger, callback = trained(tmp_path, watched=True)
    assert [step for step, _ in callback.history] == [0, 2, 4]
    lines = [(step, values) for step, values in logger.lines if "update/total" in values]
    assert lines == callback.history
    for _, values in lines:
        assert values["update/total"] > 0
        assert {"update/q", "update/w_out", "norm_input/stack.layers.1.norm2"} <= set(values)


def test_watching_does_not_change_the_training(tmp_path):
    ends = [trained(tmp_path, watched=watched)[0].state_dict() for watched in (False, True)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
