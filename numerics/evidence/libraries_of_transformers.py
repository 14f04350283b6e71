"""What Hugging Face's models start from when built from a configuration, against their sources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from numerics.evidence.libraries import LAYERS, WIDTH, LibraryRow, Size, provider, redraw, std
from numerics.schemes.draws import WeightDraw

SEEN = "5.24.0"
RANGE = 0.02
"""``initializer_range`` of every configuration here."""
GPT2 = RANGE / (2 * LAYERS) ** 0.5
_TOKENS: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
_SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
}
VOCABULARY = 256
CUT = WeightDraw(1.0, cut=2.0).true_std
"""Standard deviation of a normal that is cut at ±2, over that of the whole."""


def _gpt2() -> nn.Module:
    from transformers.models.gpt2 import GPT2Config, GPT2Model

    sizes: dict[str, Any] = {
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": 4,
        "vocab_size": VOCABULARY,
    }
    return GPT2Model(GPT2Config(**sizes, **_TOKENS))


def _clvp() -> nn.Module:
    from transformers.models.clvp import ClvpDecoderConfig, ClvpForCausalLM

    lengths: dict[str, Any] = {
        "max_position_embeddings": 32,
        "max_text_tokens": 16,
        "n_inner": 4 * WIDTH,
    }
    return ClvpForCausalLM(ClvpDecoderConfig(**_SIZES, **lengths, **_TOKENS, vocab_size=VOCABULARY))


def _gpt_neox() -> nn.Module:
    from transformers.models.gpt_neox import GPTNeoXConfig, GPTNeoXModel

    inner: dict[str, Any] = {"intermediate_size": 4 * WIDTH, "vocab_size": VOCABULARY}
    return GPTNeoXModel(GPTNeoXConfig(**_SIZES, **inner, **_TOKENS))


def _nanochat() -> nn.Module:
    from transformers.models.nanochat import NanoChatConfig, NanoChatModel

    inner: dict[str, Any] = {"intermediate_size": 4 * WIDTH, "vocab_size": VOCABULARY}
    return NanoChatModel(NanoChatConfig(**_SIZES, **inner, **_TOKENS, num_key_value_heads=4))


def _t5() -> nn.Module:
    from transformers.models.t5 import T5Config, T5ForConditionalGeneration

    sizes: dict[str, Any] = {
        "d_model": WIDTH,
        "d_kv": WIDTH // 4,
        "num_heads": 4,
        "d_ff": WIDTH,
        "num_layers": 1,
    }
    untied: dict[str, Any] = {"tie_word_embeddings": False, "decoder_start_token_id": 0}
    return T5ForConditionalGeneration(T5Config(**sizes, **untied, vocab_size=VOCABULARY))


def _modernbert() -> nn.Module:
    from transformers.models.modernbert import ModernBertConfig, ModernBertModel

    words: dict[str, Any] = {
        **_TOKENS,
        "cls_token_id": 0,
        "sep_token_id": 1,
        "vocab_size": VOCABULARY,
    }
    return ModernBertModel(ModernBertConfig(**_SIZES, **words, intermediate_size=2 * WIDTH))


def _chosen(model: nn.Module, endings: Sequence[str]) -> dict[str, Tensor]:
    return {n: p for n, p in model.named_parameters() if n.endswith(tuple(endings))}


def _sizes(
    endings: Sequence[str], asked: float, shipped: float = float("nan")
) -> Callable[[nn.Module], Mapping[str, Size]]:
    """The root mean square of tensors by the end of their names, with what is asked of all."""
    return lambda model: {
        name: Size(std(tensor), asked, shipped) for name, tensor in _chosen(model, endings).items()
    }


def _redrawn(endings: Sequence[str], size: float) -> Callable[[nn.Module], None]:
    def patch(model: nn.Module) -> None:
        for tensor in _chosen(model, endings).values():
            redraw(tensor, size)

    return patch


_C_PROJ = ("c_proj.weight",)
_CLVP = ("c_proj.weight", "attn.out_proj.weight")
_NEOX = ("attention.dense.weight", "dense_4h_to_h.weight")
_NANO = ("o_proj.weight", "fc2.weight")
_MODERN = ("Wqkv.weight", "Wi.weight")
_WANG = 2 / (LAYERS * WIDTH**0.5)


def _head(model: nn.Module) -> Tensor:
    return model.get_submodule("lm_head").get_parameter("weight")


def _head_sizes(model: nn.Module) -> Mapping[str, Size]:
    """The head's std times its logits' multiplier, which an untied T5 does not have."""
    scaled = getattr(model.config, "scale_decoder_outputs", False)
    own = std(_head(model)) * (WIDTH**-0.5 if scaled else 1.0)
    return {"lm_head": Size(own, WIDTH**-0.5, 1.0)}


ROWS = (
    LibraryRow(
        "libraries.gpt2-writers",
        "transformers",
        "5.0 to 5.14.1",
        _gpt2,
        _sizes(_C_PROJ, GPT2),
        _redrawn(_C_PROJ, RANGE),
        "c_proj of std 0.02, as 5.14.1 drew it",
        accepted=False,
    ),
    LibraryRow(
        "libraries.clvp-writers",
        "transformers",
        SEEN,
        _clvp,
        _sizes(_CLVP, GPT2),
        _redrawn(_CLVP[1:], GPT2),
        "attention's out_proj drawn with 0.02/√(2N) as well",
    ),
    LibraryRow(
        "libraries.gpt-neox-writers",
        "transformers",
        SEEN,
        _gpt_neox,
        _sizes(_NEOX, _WANG, RANGE),
        _redrawn(_NEOX, _WANG),
        "writers drawn with 2/(N √d)",
        repair="`initializer_range` at every depth and width",
    ),
    LibraryRow(
        "libraries.nanochat-writers",
        "transformers",
        SEEN,
        _nanochat,
        _sizes(_NANO, 0.0),
        _redrawn(_NANO, 0.0),
        "writers set to 0",
    ),
    LibraryRow(
        "libraries.t5-head",
        "transformers",
        SEEN,
        _t5,
        _head_sizes,
        lambda model: redraw(_head(model), WIDTH**-0.5),
        "the head drawn with d^(-1/2)",
        repair="std 1, that of the embedding",
    ),
    LibraryRow(
        "libraries.modernbert-std",
        "transformers",
        SEEN,
        _modernbert,
        _sizes(_MODERN, RANGE, CUT * RANGE),
        _redrawn(_MODERN, RANGE),
        "matrices drawn from the whole normal",
        repair="0.8796 of it, as the normal is cut at two standard deviations",
    ),
)


shipped = provider(ROWS, __name__)
PROVIDERS = (shipped,)
