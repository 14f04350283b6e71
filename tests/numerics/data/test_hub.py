import importlib
import types

import pytest

from numerics.data.hub import hub_corpus
from numerics.training.config import TrainConfig
from numerics.training.task import load_corpus
from theory.errors import InputError

ROWS = [{"de": " eins ", "en": "one"}, {"de": "zwei", "en": "two"}]
NESTED = [{"translation": row} for row in ROWS]


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for Hugging Face datasets that records what is asked of it."""
    state = types.SimpleNamespace(
        parts={"train": ROWS, "validation": ROWS[:1], "test_2016": ROWS[1:]}, asked=[]
    )

    def load_dataset(*arguments):
        state.asked.append(arguments)
        if isinstance(state.parts, Exception):
            raise state.parts
        return state.parts

    real = importlib.import_module

    def import_module(name):
        return (
            types.SimpleNamespace(load_dataset=load_dataset) if name == "datasets" else real(name)
        )

    monkeypatch.setattr(importlib, "import_module", import_module)
    return state


@pytest.mark.parametrize("rows", [ROWS, NESTED])
def test_both_shapes_of_rows(hub, rows):
    hub.parts["train"] = rows
    corpus = hub_corpus("someone/multi30k")
    assert corpus.train.de == ("eins", "zwei")
    assert corpus.validation.en == ("one",)
    assert corpus.tests["test_2016"].de == ("zwei",)
    assert hub.asked == [("someone/multi30k", None)]


def test_a_configuration_and_the_command_line(hub):
    assert load_corpus(TrainConfig(data="hub:wmt14:de-en")).name == "hub"
    assert hub.asked == [("wmt14", "de-en")]
    assert TrainConfig(data="hub:wmt14:de-en").data_name == "hub"


def test_out_of_reach_says_what_to_do_instead(hub):
    hub.parts = ConnectionError("Couldn't reach 'x' on the Hub\nlong trace")
    with pytest.raises(InputError, match=r"Couldn't reach 'x' on the Hub; .* text:DIR") as caught:
        hub_corpus("x")
    assert "\n" not in str(caught.value)


def test_missing_parts_and_columns(hub):
    hub.parts = {"train": ROWS}
    with pytest.raises(InputError, match=r"must have the parts train and validation, has"):
        hub_corpus("x")
    hub.parts = {"train": [{"source": "eins"}], "validation": ROWS}
    with pytest.raises(InputError, match=r"must have the columns de and en.* has \['source'\]"):
        hub_corpus("x")


def test_without_the_extra(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"datasets is not installed: pip install -e '\.\[hub\]'"):
        hub_corpus("x")
