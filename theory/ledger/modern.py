"""Statements about initialisations of today's decoder-only models."""

from theory.claims import Claim, Outcome

_GPT2 = ("norm before each branch and at the end", "weights drawn independently", "in mean square")
_DRAWN = ("at initialisation", "weights drawn independently")
_STEP = (*_DRAWN, "first order in η")
_ADAM = (*_DRAWN, "Adam's first step, η sign(g)")
_HERE = "here N = 4 to 32"

ROWS = (
    Claim(
        "modern.gpt2-stream",
        "output matrices of std 0.02/√(2N) keep the stream's variance Θ(1) at any depth",
        "Radford et al. 2019, 2.3",
        _GPT2,
        Outcome.HOLDS,
    ),
    Claim(
        "modern.gpt2-update",
        "output matrices of that std keep f's change in one step Θ(η) too, under SGD and signs",
        "the stream's rule, read as one for the update",
        (*_GPT2, "first order in η"),
        Outcome.FAILS,
    ),
    Claim(
        "modern.depth-mup-update",
        "depth-μP, branches and Adam's rate as N^(-1/2), keeps f's change Θ(η)",
        "Yang et al., Tensor Programs VI",
        (*_ADAM, "embeddings of RMS 1", _HERE),
        None,
    ),
    Claim(
        "modern.depth-mup-sgd",
        "depth-μP keeps f's change Θ(η) under SGD too, at a rate that knows no depth",
        "Yang et al., Tensor Programs VI",
        (*_STEP, "embeddings of RMS 1", _HERE),
        None,
    ),
    Claim(
        "modern.completep-update",
        "CompleteP, branches as 1/N at a constant rate, keeps f's change Θ(η), any embedding",
        "Dey et al. 2025; the embedding is our switch",
        (*_ADAM, _HERE),
        None,
    ),
    Claim(
        "modern.u-mup-update",
        "u-μP's weights and rate L^(-1/2) keep f's change Θ(η)",
        "Blake et al. 2024",
        (*_ADAM, _HERE),
        None,
    ),
    Claim(
        "modern.sub-ln-update",
        "Sub-LN with γ = √ln(2N) keeps f's change Θ(η) at every depth",
        "Wang et al. 2022 (Magneto)",
        (*_STEP, "SGD", _HERE),
        None,
    ),
    Claim(
        "modern.pre-ln-stream",
        "Pre-LN's variance lies between Θ(N) and e^Θ(N), at initialisation at the lower end",
        "Sun et al. 2025 (curse of depth); where in between is our question",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.peri-ln-stream",
        "Peri-LN's variance grows linearly with depth",
        "Kim et al. 2025",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.olmo2-growth",
        "a norm on the branch's output brings the stream's growth exponent a layer close to 0",
        "OLMo 2, 3.2",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.lns-stream",
        "norms times l^(-1/2) slow the stream's variance down, below a power of N",
        "Sun et al. 2025 (curse of depth)",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.lns-gradient",
        "they bring the gradients of the last layers nearer to those of the first, at the start",
        "Sun et al. 2025, whose claim is about training",
        (*_DRAWN, "flat weights, Pre-LN", "here N = 32"),
        None,
    ),
    Claim(
        "modern.lns-identity",
        "they make the last blocks less of an identity than Pre-LN's, at the start",
        "Sun et al. 2025, whose claim is about training",
        (*_DRAWN, "flat weights, Pre-LN", "here N = 32"),
        None,
    ),
    Claim(
        "modern.u-mup-stream",
        "u-μP's stream has unit scale behind every block",
        "Blake et al. 2024",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.deepscalelm-stream",
        "DeepScaleLM's λ² + β² = 1 keeps the stream's variance, whatever the depth",
        "Kedia et al. 2024",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.deepscalelm-gradient",
        "and that of the gradient that flows back",
        "Kedia et al. 2024",
        (*_DRAWN, _HERE),
        None,
    ),
    Claim(
        "modern.spike-gradient",
        "small sub-layers and a large shortcut bound how a gradient grows on its way, at any depth",
        "Takase et al. 2023 (Spike No More)",
        (*_DRAWN, "GPT-2's writers, embeddings of RMS 1", _HERE),
        None,
    ),
    Claim(
        "modern.dyt-jacobian",
        "with dynamic tanh for the norm, cotangents grow as e^Θ(√N), not as a power of N",
        "arXiv:2604.11890, abstract",
        (*_DRAWN, "branches that saturate"),
        None,
    ),
    Claim(
        "modern.t5-logits",
        "T5 needs no 1/√d' on its logits, as q's standard deviation has it",
        "Raffel et al. 2020, mesh's code",
        (*_DRAWN, "the first layer"),
        None,
    ),
    Claim(
        "modern.qk-norm-logits",
        "QK-norm bounds attention's logits, whatever the weights become",
        "Henry et al. 2020; OLMo 2",
        ("gains of 1", "the norm over each head"),
        None,
    ),
)
