import itertools

import pytest
import torch

from numerics.data.tokenizer import BEGIN, END, PADDING
from numerics.models import ModelSpec
from numerics.models.spec import Architecture, single_stack
from numerics.schemes import build
from numerics.training.decode import beam_search, greedy
from theory.errors import InputError

V, LIMIT = 7, 4
WORDS = [token for token in range(V) if token not in (PADDING, BEGIN, END)]


def peaked_model(seed: int, scale: float = 6.0):
    """A tiny Transformer whose predictions are far from uniform, each prefix its own."""
    model = build("xavier", ModelSpec(1, 1, 8, 16, 2, V), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        assert model.output is not None
        model.output.mul_(scale)
    return model.double().eval()


SOURCE = torch.tensor([[4, 5, 6, END], [6, 4, END, PADDING]])


@torch.no_grad()
def log_p(model, source, target: list[int]) -> float:
    """log p(y, END | x) by teacher forcing, padding and BEGIN impossible."""
    logits = model(source[None], torch.tensor([[BEGIN, *target]]), source[None] == PADDING)
    logits[..., [PADDING, BEGIN]] = float("-inf")
    chosen = logits.log_softmax(-1)[0, range(len(target) + 1), [*target, END]]
    return float(chosen.detach().sum())


def by_brute_force(model, source, alpha: float) -> tuple[tuple[int, ...], float]:
    """The best of every sequence of at most LIMIT tokens, END among them."""
    scored = {
        words: log_p(model, source, list(words)) / (length + 1) ** alpha
        for length in range(LIMIT)
        for words in itertools.product(WORDS, repeat=length)
    }
    best = max(scored, key=lambda words: scored[words])
    return best, scored[best]


@torch.no_grad()
def by_lists(model, source, beam: int, alpha: float) -> tuple[int, ...]:
    """Beam search written with lists and whole forward passes."""
    alive, finished = [((), 0.0)], []
    for length in range(1, LIMIT + 1):
        options = []
        for words, total in alive:
            here = log_p(model, source, list(words))  # ends here
            options.append((here, words, END))
            if length < LIMIT:
                for token in WORDS:
                    logits = model(source[None], torch.tensor([[BEGIN, *words]]), source[None] == 0)
                    logits[..., [PADDING, BEGIN]] = float("-inf")
                    options.append(
                        (total + float(logits.log_softmax(-1)[0, -1, token]), words, token)
                    )
        options.sort(reverse=True)
        finished += [
            (value / length**alpha, words) for value, words, token in options[:beam] if token == END
        ]
        alive = [((*words, t), value) for value, words, t in options if t != END][:beam]
        if len(finished) >= beam:
            break
    return max(finished)[1]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wide_beam_finds_what_brute_force_finds(seed, alpha):
    model = peaked_model(seed)
    found = beam_search(
        model,
        SOURCE,
        SOURCE == PADDING,
        beam=len(WORDS) ** LIMIT,
        length_penalty=alpha,
        limit=LIMIT,
    )
    for hypothesis, source in zip(found, SOURCE, strict=True):
        words, score = by_brute_force(model, source, alpha)
        assert hypothesis.tokens == words
        assert hypothesis.score == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("beam", [1, 2, 3])
def test_narrow_beams_agree_with_a_search_over_lists(beam):
    for seed in range(2):
        model = peaked_model(seed)
        found = beam_search(
            model, SOURCE, SOURCE == PADDING, beam=beam, length_penalty=0.3, limit=LIMIT
        )
        assert [h.tokens for h in found] == [by_lists(model, s, beam, 0.3) for s in SOURCE]


def test_a_narrow_beam_can_miss_the_best():
    missed = 0
    for seed in range(3):
        model = peaked_model(seed)
        found = beam_search(
            model, SOURCE, SOURCE == PADDING, beam=1, length_penalty=0.0, limit=LIMIT
        )
        best = [by_brute_force(model, source, 0.0) for source in SOURCE]
        for hypothesis, (_, score) in zip(found, best, strict=True):
            assert hypothesis.score <= score + 1e-9
            missed += hypothesis.score < score - 1e-6
    assert missed > 0


def test_greedy_takes_the_likeliest_token_at_each_place():
    model = peaked_model(3)
    for hypothesis, source in zip(greedy(model, SOURCE, SOURCE == PADDING), SOURCE, strict=True):
        words: list[int] = []
        for _ in range(2 * int((source != PADDING).sum()) + 9):
            logits = model(source[None], torch.tensor([[BEGIN, *words]]), source[None] == PADDING)
            logits[..., [PADDING, BEGIN]] = float("-inf")
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            words.append(token)
        assert list(hypothesis.tokens) == words


def test_a_sentence_does_not_depend_on_its_batch():
    model = peaked_model(1)
    together = beam_search(model, SOURCE, SOURCE == PADDING, beam=3, length_penalty=0.6)
    for row, hypothesis in zip(SOURCE, together, strict=True):
        alone = row[row != PADDING][None]
        (found,) = beam_search(model, alone, alone == PADDING, beam=3, length_penalty=0.6)
        assert found.tokens == hypothesis.tokens


def test_the_length_penalty_lengthens():
    lengths = []
    for alpha in (0.0, 2.0):
        found = [
            beam_search(
                peaked_model(seed, 1.0),
                SOURCE,
                SOURCE == PADDING,
                beam=64,
                length_penalty=alpha,
                limit=LIMIT,
            )
            for seed in range(4)
        ]
        lengths.append(sum(len(hypothesis.tokens) for pair in found for hypothesis in pair))
    assert lengths[0] < lengths[1]


def test_bad_arguments():
    model = peaked_model(0)
    with pytest.raises(InputError, match="beam must be an integer of at least 1, got 0"):
        beam_search(model, SOURCE, SOURCE == PADDING, beam=0, length_penalty=1.0)
    with pytest.raises(InputError, match="length_penalty must be at least 0, got -1"):
        beam_search(model, SOURCE, SOURCE == PADDING, beam=1, length_penalty=-1.0)
    alone = build("xavier", single_stack(Architecture.DECODER_ONLY, 1), torch.Generator())
    with pytest.raises(InputError, match="translation needs encoder-decoder, got decoder-only"):
        greedy(alone, SOURCE, SOURCE == PADDING)
