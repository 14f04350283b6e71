"""Statements of papers and documentation, held against the code of libraries as they ship it.

Each row names the version in which a difference was seen. Where that library is installed the
statement is decided on it, whatever its version; where it is not, the row stays undecided.
"""

from theory.claims import Claim, Outcome

_TORCH = ("torch", "seen in 2.13.0")
_HF = ("transformers", "seen in 5.24.0", "built from a configuration")
_XT = ("x-transformers", "seen in 2.31.10")

ROWS = (
    Claim(
        "libraries.torch-packed-attention",
        "nn.MultiheadAttention draws each of q, k and v from Xavier's law",
        "torch.nn.MultiheadAttention, `_reset_parameters`; issue 166378",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torch-encoder-layer",
        "nn.TransformerEncoderLayer draws its output and MLP matrices as nn.Transformer does: "
        "Xavier",
        "torch.nn.TransformerEncoderLayer; issues 57117 and 15314",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torch-biases",
        "biases of nn.TransformerEncoderLayer's MLP start at 0, as theories of depth take them",
        "torch.nn.Linear, `reset_parameters`; issue 57109",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torch-cloned-layers",
        "layers of nn.TransformerEncoder are drawn independently",
        "torch.nn.TransformerEncoder; issues 72253, 86274 and 120396",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torch-embedding",
        "nn.Embedding draws tokens of std d^(-1/2), as T-Fixup asks",
        "torch.nn.Embedding, `reset_parameters`",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torch-truncation",
        "trunc_normal_ with std 0.02 and nothing else cuts at two standard deviations",
        "torch.nn.init.trunc_normal_; so read by timm, torchtitan and others",
        _TORCH,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.gpt2-writers",
        "GPT-2's matrices that write to the stream start at std 0.02/√(2N)",
        "Radford et al. 2019, 2.3; issue 47458, pull request 47459",
        ("transformers", "seen skipped in 5.0 to 5.14.1", "built from a configuration"),
        Outcome.HOLDS,
    ),
    Claim(
        "libraries.clvp-writers",
        "CLVP's matrices that write to the stream do, as its initialiser's comment says",
        "transformers, models/clvp; pull request 47478",
        _HF,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.gpt-neox-writers",
        "GPT-NeoX's matrices that write to the stream start at std 2/(N √d), as in its training",
        "gpt-neox, `wang_init`, in every configuration that it ships",
        _HF,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.nanochat-writers",
        "nanochat's matrices that write to the stream start at 0",
        "nanochat, `init_weights`",
        _HF,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.t5-head",
        "T5 without tied embeddings starts with a head of std d^(-1/2), so with a loss near ln V",
        "Raffel et al. 2020 by its code; pull request 26441",
        _HF,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.modernbert-std",
        "ModernBERT's matrices that read the stream have std `initializer_range`",
        "transformers, models/modernbert: a truncated normal",
        _HF,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.x-transformers-mitchell",
        "`depth_scale_residual=True` draws what writes in layer l with std 1/√(2 fan_in l)",
        "x-transformers, after OLMo's mitchell",
        _XT,
        Outcome.HOLDS,
    ),
    Claim(
        "libraries.x-transformers-layerscale",
        "`use_layerscale=True` starts at λ = 0.1, as LayerScale does up to 18 layers",
        "Touvron et al. 2021 (CaiT)",
        _XT,
        Outcome.FAILS,
    ),
    Claim(
        "libraries.timm-truncation",
        "timm's vision Transformer draws its matrices from a normal cut at two standard deviations",
        "Dosovitskiy et al. 2021 by its code; timm, `init_weights_vit_timm`",
        ("timm", "seen in 1.0.31"),
        Outcome.FAILS,
    ),
    Claim(
        "libraries.torchscale-deepnorm",
        "torchscale's DeepNorm draws v, output and MLP matrices as (8N)^(-1/4) times Xavier",
        "Wang et al. 2022 (DeepNet); torchscale, `Encoder`; issue 16",
        ("torchscale", "seen in 0.3.0"),
        Outcome.FAILS,
    ),
)
