"""What the aten operations do to a signal: moved, scaled, normalised, multiplied by weights.

These are tables of torch's own operations. No table of a model's names decides anything.
"""


def words(text: str) -> frozenset[str]:
    """The words of a text as a set.

    Examples
    --------
    >>> sorted(words("view slice"))
    ['slice', 'view']
    """
    return frozenset(text.split())


PIECES = words(
    "split split_with_sizes unbind chunk unsafe_split unsafe_split_with_sizes unsafe_chunk "
    "tensor_split hsplit vsplit unbind_copy split_copy"
)
"""Operations that cut one tensor into several."""

MOVES = words(
    "view _unsafe_view reshape _reshape_alias transpose t permute unsqueeze squeeze expand "
    "alias detach clone contiguous _to_copy lift_fresh lift_fresh_copy slice select as_strided "
    "copy view_as_real view_as_complex piece narrow diagonal movedim unfold flatten unflatten "
    "_conj resolve_conj written clamp clamp_min clamp_max nan_to_num native_dropout to "
    "convert_element_type"
)
"""Operations that keep a signal's numbers where they keep all of its entries."""

RESAMPLES = words(
    "slice select piece cat stack index index_select gather constant_pad_nd roll flip "
    "pixel_shuffle pixel_unshuffle upsample_nearest2d upsample_bilinear2d "
    "max_pool2d_with_indices avg_pool2d avg_pool1d mean _adaptive_avg_pool2d "
    "adaptive_max_pool2d index_put scatter repeat repeat_interleave expand sum masked_select "
    "im2col col2im unfold unfold_copy sort slice_scatter select_scatter _index_put_impl "
    "index_copy index_add"
)
"""Operations that take, join or pool positions of a signal."""

PRODUCTS = words(
    "mm addmm bmm baddbmm convolution mv addmv linear matmul _grouped_mm _scaled_mm "
    "_convolution conv1d conv2d mkldnn_linear"
)
"""Operations that sum over an axis that two tensors share."""


MIXERS_WITHOUT_WEIGHTS = words(
    "_fft_c2c _fft_r2c _fft_c2r avg_pool1d avg_pool2d cumsum roll max_pool2d_with_indices "
    "_adaptive_avg_pool2d mkldnn_rnn_layer _thnn_fused_gru_cell _thnn_fused_lstm_cell"
)
"""Operations that make a branch although they may have no weights: they mix positions."""

REDUCTIONS = words(
    "mean sum var std var_mean std_mean norm linalg_vector_norm amax amin max min piece"
)
SQUARES = words("pow var std var_mean std_mean norm linalg_vector_norm square rsqrt sqrt abs")
"""Operations by which a statistic measures a size, without regard to the sign."""

LINEAR_POINTWISE = words(
    "add sub rsub mul div neg _to_copy copy clone where masked_fill clamp clamp_min clamp_max "
    "nan_to_num alias detach written to"
)
"""Entry-by-entry operations that are no activation function."""

CHOICES = words("topk sort argsort argmax max _softmax _log_softmax kthvalue bincount")
"""Operations by which a router chooses experts."""

NORMS: dict[str, tuple[int | None, int | None]] = {
    "native_layer_norm": (2, 3),
    "layer_norm": (2, 3),
    "native_group_norm": (1, 2),
    "native_batch_norm": (1, 2),
    "_native_batch_norm_legit": (1, 2),
    "_native_batch_norm_legit_no_training": (1, 2),
    "_batch_norm_no_update": (1, 2),
    "_batch_norm_with_update": (1, 2),
    "batch_norm": (1, 2),
    "cudnn_batch_norm": (1, 2),
    "_fused_rms_norm": (2, None),
    "rms_norm": (2, None),
}
"""Per fused norm: the places of its gain and of its bias among its arguments."""
