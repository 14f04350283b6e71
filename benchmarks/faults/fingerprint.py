"""What a folder of results holds, apart from times: two runs with equal fingerprints are the same.

Numbers count to the last bit. Left out are wall times, the dates they were taken on, the code's
commit, checksums of files that hold times, and the history of a sweep that was begun twice.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import torch

from numerics.stores.seals import opened

TIMES = ("seconds", "created", "tokens_per_second", "sha256", "files", "wall_seconds", "commit")
"""Keys of JSON objects that a second run of the same command may change."""


def fingerprint(folder: Path) -> dict[str, str]:
    """The digest of every file's content by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def _digest(path: Path) -> str:
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if path.name == "manifest.json":
            content.pop("runs")
        text = json.dumps(_timeless(content), sort_keys=True)
    elif path.suffix == ".parquet":
        frame = pl.read_parquet(path, glob=False)
        frame = frame.drop("seconds", strict=False)
        text = repr(frame.columns) + repr(sorted(map(repr, frame.rows())))
    elif path.suffix == ".pt":
        body = opened(path.read_bytes())
        text = repr(_plain(_timeless(torch.load(io.BytesIO(body), weights_only=True))))
    else:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, (list, tuple)):
        return [_timeless(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Tensors as bytes of their numbers."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
