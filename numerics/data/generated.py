"""Generates German–English sentence pairs: dates, times, numbers, money and measures.

Formats are those of CLDR (through babel), number words those of num2words. Every sentence lists one
to three phrases, each with or without a frame. The list, too, is formatted by CLDR. English is
British with twelve-hour times, so that little can be copied untranslated.
"""

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from numerics.data.corpus import Corpus, ParallelText
from theory.errors import extra, require_positive

Pair = tuple[str, str]
LOCALES = ("de", "en_GB")
"""Source and target locale."""


@dataclass(frozen=True)
class Phrase:
    """A kind of phrase: how to draw one, and the sentences that it fits into."""

    draw: Callable[[random.Random], Pair]
    frames: tuple[Pair, ...]
    """German and English sentence parts with ``{}`` for the phrase."""


@lru_cache(maxsize=1)  # An experiment's runs have one corpus, which takes longer than short runs.
def generated_corpus(pairs: int, validation_pairs: int, seed: int) -> Corpus:
    """A corpus of distinct pairs; validation pairs are drawn first and kept out of training.

    Parameters
    ----------
    pairs, validation_pairs
        Sizes of the training and the validation part.
    seed
        The corpus is a pure function of the three arguments.

    Examples
    --------
    >>> corpus = generated_corpus(20, 5, seed=0)
    >>> len(corpus.train), corpus == generated_corpus(20, 5, seed=0)
    (20, True)
    """
    require_positive(pairs=pairs, validation_pairs=validation_pairs)
    rng = random.Random(seed)
    drawn: dict[Pair, None] = {}
    while len(drawn) < pairs + validation_pairs:
        drawn[sentence_pair(rng)] = None
    every = list(drawn)
    parts = (every[validation_pairs:], every[:validation_pairs])
    train, validation = (
        ParallelText(tuple(de for de, _ in part), tuple(en for _, en in part)) for part in parts
    )
    return Corpus("generated", train, validation, {})


def sentence_pair(rng: random.Random) -> Pair:
    """Draw one to three phrases, joined as each language joins a list."""
    lists = extra("babel.lists")
    drawn = [_framed(rng) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    de, en = (
        lists.format_list([pair[side] for pair in drawn], locale=LOCALES[side]) for side in (0, 1)
    )
    return de, en


def _framed(rng: random.Random) -> Pair:
    phrase = rng.choice(PHRASES)
    de, en = phrase.draw(rng)
    frame_de, frame_en = rng.choice((("{}", "{}"), *phrase.frames))
    return frame_de.format(de), frame_en.format(en)


def _both(function: Callable[..., str], *arguments: Any, **keywords: Any) -> Pair:
    de, en = (function(*arguments, locale=locale, **keywords) for locale in LOCALES)
    return de, en


def date(rng: random.Random) -> Pair:
    """A day of 1950–2049 in one of CLDR's four lengths."""
    day = datetime.date(1950, 1, 1) + datetime.timedelta(days=rng.randrange(36_525))
    style = rng.choice(("full", "long", "medium", "short"))
    return _both(extra("babel.dates").format_date, day, format=style)


def time(rng: random.Random) -> Pair:
    """A minute of the day: '14:05 Uhr' and '2:05 pm'."""
    minute = datetime.time(rng.randrange(24), rng.randrange(60))
    format_time = extra("babel.dates").format_time
    return (
        format_time(minute, "HH:mm", locale=LOCALES[0]) + " Uhr",
        format_time(minute, "h:mm a", locale=LOCALES[1]),
    )


def number(rng: random.Random) -> Pair:
    """A decimal number of up to seven digits with at most two decimals."""
    value = round(rng.choice((-1, 1)) * 10 ** rng.uniform(0, 7), rng.choice((0, 1, 2)))
    return _both(extra("babel.numbers").format_decimal, value)


def money(rng: random.Random) -> Pair:
    """An amount in one of five currencies: '1.234,50 €' and '€1,234.50'."""
    amount = round(10 ** rng.uniform(0, 6), 2)
    currency = rng.choice(("EUR", "USD", "GBP", "CHF", "JPY"))
    return _both(extra("babel.numbers").format_currency, amount, currency)


def percentage(rng: random.Random) -> Pair:
    """A share in per cent with one decimal."""
    value = rng.randrange(1001) / 1000
    return _both(extra("babel.numbers").format_percent, value, format="#,##0.0 %")


def measure(rng: random.Random) -> Pair:
    """A length, mass, temperature or volume, spelled out."""
    unit = rng.choice(
        ("length-kilometer", "length-meter", "mass-kilogram", "volume-liter", "mass-gram")
    )
    value = rng.randrange(2, 10_000) / rng.choice((1, 10))
    return _both(extra("babel.units").format_unit, value, unit)


def duration(rng: random.Random) -> Pair:
    """A span of seconds to years, rounded as CLDR's relative times are."""
    span = datetime.timedelta(seconds=int(10 ** rng.uniform(1, 9)))
    return _both(extra("babel.dates").format_timedelta, span)


def cardinal(rng: random.Random) -> Pair:
    """Number words: 'zweihundertvier' and 'two hundred and four'."""
    value = 1 + int(10 ** rng.uniform(0, 6))
    words = extra("num2words").num2words
    return words(value, lang="de"), words(value, lang="en")


def ordinal(rng: random.Random) -> Pair:
    """Ordinal words: 'einundzwanzigste' and 'twenty-first'."""
    value = int(10 ** rng.uniform(0, 3))
    words = extra("num2words").num2words
    return words(value, lang="de", to="ordinal"), words(value, lang="en", to="ordinal")


PHRASES = (
    Phrase(date, (("gültig bis {}", "valid until {}"), ("Termin: {}", "date: {}"))),
    Phrase(time, (("Beginn um {}", "starts at {}"), ("geöffnet bis {}", "open until {}"))),
    Phrase(number, (("der Wert ist {}", "the value is {}"), ("Nummer {}", "number {}"))),
    Phrase(money, (("der Preis beträgt {}", "the price is {}"), ("Summe: {}", "total: {}"))),
    Phrase(percentage, (("ein Anteil von {}", "a share of {}"), ("{} Rabatt", "{} off"))),
    Phrase(measure, (("insgesamt {}", "{} in total"), ("etwa {}", "about {}"))),
    Phrase(duration, (("es dauert {}", "it takes {}"), ("Dauer: {}", "duration: {}"))),
    Phrase(cardinal, (("{} Gäste kamen", "{} guests came"), ("die Zahl {}", "the number {}"))),
    Phrase(ordinal, (("der {} Versuch", "the {} attempt"), ("das {} Kapitel", "the {} chapter"))),
)
