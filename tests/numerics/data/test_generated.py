import datetime
import importlib
import math
import random
import re

import pytest

from numerics.data import generated
from numerics.data.generated import generated_corpus, sentence_pair
from theory.errors import InputError

MONTHS_DE = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
MONTHS_EN = "January February March April May June July August September October November December"


class Fixed(random.Random):
    """Draws the first choice, zero, and one chosen uniform value."""

    def __init__(self, uniform: float) -> None:
        super().__init__(0)
        self.value = uniform

    def uniform(self, a: float, b: float) -> float:
        assert a <= self.value <= b
        return self.value


def day_of(text: str, months: str) -> tuple[int, int, int]:
    """Day, month and year mod 100, read without babel."""
    names = [name[:3] for name in months.split()]
    words = re.findall(r"[^\W\d]+|\d+", text)
    numbers = [int(word) for word in words if word.isdigit()]
    found = [names.index(word[:3]) + 1 for word in words if word[:3] in names]
    day, month, year = (numbers[0], found[0], numbers[1]) if found else numbers
    return day, month, year % 100


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def test_same_seed_same_corpus():
    assert generated_corpus(30, 5, seed=3) == generated_corpus(30, 5, seed=3)
    assert generated_corpus(30, 5, seed=3) != generated_corpus(30, 5, seed=4)


def test_validation_pairs_are_kept_out_of_training():
    corpus = generated_corpus(2000, 300, seed=0)
    train, held_out = (
        set(zip(part.de, part.en, strict=True)) for part in (corpus.train, corpus.validation)
    )
    assert len(train) == 2000
    assert len(held_out) == 300
    assert not train & held_out


def test_both_sides_name_the_same_day():
    rng = random.Random(0)
    pairs = [generated.date(rng) for _ in range(300)]
    agree = [day_of(de, MONTHS_DE) == day_of(en, MONTHS_EN) for de, en in pairs]
    assert all(agree)
    shifted = zip([de for de, _ in pairs], [en for _, en in pairs[1:]], strict=False)
    assert not any(day_of(de, MONTHS_DE) == day_of(en, MONTHS_EN) for de, en in shifted)


def test_both_sides_name_the_same_minute():
    rng = random.Random(0)
    for _ in range(200):
        de, en = generated.time(rng)
        read = datetime.datetime.strptime(de, "%H:%M Uhr").time()
        assert read == datetime.datetime.strptime(en.upper(), "%I:%M %p").time()


@pytest.mark.parametrize("draw", [generated.number, generated.money, generated.percentage])
def test_both_sides_have_the_same_digits_and_their_own_separators(draw):
    rng = random.Random(0)
    pairs = [draw(rng) for _ in range(200)]
    assert all(digits(de) == digits(en) for de, en in pairs)
    assert any("," in de and "." in en and de != en for de, en in pairs)


@pytest.mark.parametrize(
    ("value", "de", "en"),
    [
        (17, "siebzehn", "seventeen"),
        (204, "zweihundertvier", "two hundred and four"),
        (1031, "eintausendeinunddreißig", "one thousand and thirty-one"),
    ],
)
def test_number_words(value, de, en):
    assert generated.cardinal(Fixed(math.log10(value - 0.5))) == (de, en)


def test_known_formats():
    assert generated._both(
        lambda amount, locale: generated.extra("babel.numbers").format_currency(
            amount, "EUR", locale=locale
        ),
        1234.5,
    ) == ("1.234,50\xa0€", "€1,234.50")


def test_the_task_is_not_copying():
    rng = random.Random(0)
    pairs = [sentence_pair(rng) for _ in range(500)]
    assert sum(de == en for de, en in pairs) < 0.02 * len(pairs)


def test_a_missing_extra_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="babel")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"babel .* pip install -e '\.\[train\]'"):
        generated_corpus(2, 1, seed=0)


@pytest.mark.parametrize("pairs", [0, -1])
def test_size_must_be_positive(pairs):
    with pytest.raises(InputError, match=f"pairs must be .* got {pairs}"):
        generated_corpus(pairs, 1, seed=0)
