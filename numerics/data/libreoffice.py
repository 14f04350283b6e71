"""Loads real German–English text from two Debian packages: LibreOffice's help pages (MPL-2.0).

Both packages hold the same pages. Translated paragraphs share their id, so page path and id align
them. Kept are paragraphs of 4 to 40 words per side whose sides differ; duplicates are dropped.
Pages, not pairs, are divided into training, validation and test. The pairs are cached.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from numerics.data.corpus import Corpus, ParallelText
from numerics.stores.files import write_json
from theory.errors import InputError, extra

PACKAGES = {"de": "libreoffice-help-de", "en": "libreoffice-help-en-us"}
FOLDERS = {"de": "de", "en": "en-US"}
"""Folder of each language in its package, below usr/share/libreoffice/help."""
WORDS = range(4, 41)
"""Number of words per side of the pairs that are kept."""
LEAST_PAIRS = 10_000
"""Least number of pairs; fewer mean that this module no longer understands the pages."""
KNOWN = {"4:7.4.7-1+deb12u14": (22_237, 334_740, 344_420)}
"""Counted numbers of pairs and of words per side, by package version."""
PARTS = {"validation": range(3), "test": range(3, 6)}
"""Percentiles of the pages that are held out."""
Paragraphs = Mapping[tuple[str, str], str]
Triple = tuple[str, str, str]


def libreoffice_corpus(cache: Path | None = None) -> Corpus:
    """The pairs of the help pages, from the cache, or from the packages if it is empty.

    Parameters
    ----------
    cache
        Folder of the cached pairs, and of the two packages where they were put there by hand;
        ``tfixup/libreoffice`` in the user's cache unless given.

    Raises
    ------
    InputError
        If the packages cannot be had, are not what they were, or the cache is damaged.
    """
    folder = cache or cache_folder()
    path = folder / "pairs.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as temporary:
            version, pairs = from_packages(folder, Path(temporary))
        check_counts(version, pairs)
        write_json(path, {"version": version, "sha256": _digest(pairs), "pairs": pairs})
    return split(_cached(path))


def cache_folder() -> Path:
    """The default cache: ``tfixup/libreoffice`` below $XDG_CACHE_HOME, or below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfixup" / "libreoffice"


def from_packages(folder: Path, temporary: Path) -> tuple[str, list[Triple]]:
    """The version, and (page, de, en) of every pair, from packages in ``folder`` or downloaded."""
    if not all(_package(folder, name) for name in PACKAGES.values()):
        _run(["apt-get", "download", *PACKAGES.values()], temporary, folder)
        folder = temporary
    versions, sides = {}, {}
    for side, name in PACKAGES.items():
        package = _package(folder, name)
        if package is None:
            raise InputError(f"apt-get download must bring {name}, and left no such file")
        field = ["dpkg-deb", "--field", str(package), "Version"]
        versions[side] = _run(field, temporary, folder).strip()
        _run(["dpkg-deb", "-x", str(package), str(temporary / side)], temporary, folder)
        root = temporary / side / "usr/share/libreoffice/help" / FOLDERS[side] / "text"
        sides[side] = paragraphs(root)
    if len(set(versions.values())) != 1:
        raise InputError(f"both packages must be of one version, got {versions}")
    return versions["de"], list(aligned(sides["de"], sides["en"]))


def paragraphs(root: Path) -> dict[tuple[str, str], str]:
    """Text of every paragraph that has an id, by page and id, with its spaces joined."""
    html = extra("lxml.html")
    found: dict[tuple[str, str], str] = {}
    for file in sorted(root.rglob("*.html")):
        tree = html.parse(str(file), html.HTMLParser(encoding="utf-8"))
        for paragraph in tree.iterfind(".//p[@id]"):
            key = str(file.relative_to(root)), paragraph.get("id")
            found.setdefault(key, " ".join(paragraph.text_content().split()))
    return found


def aligned(de: Paragraphs, en: Paragraphs) -> Iterator[Triple]:
    """The kept paragraphs that exist on both sides, as (page, de, en), without duplicates.

    Examples
    --------
    >>> de = {("p", "1"): "der Hund bellt sehr laut", ("p", "2"): "Datei"}
    >>> list(aligned(de, {("p", "1"): "the dog barks very loudly", ("p", "2"): "File"}))
    [('p', 'der Hund bellt sehr laut', 'the dog barks very loudly')]
    """
    seen = set()
    for key, source in de.items():
        pair = source, en.get(key, "")
        if all(len(side.split()) in WORDS for side in pair) and pair[0] != pair[1]:
            if pair not in seen:
                yield key[0], *pair
            seen.add(pair)


def check_counts(version: str, pairs: Sequence[Triple]) -> None:
    """Raise unless pairs and words have the recorded counts, or at least plausible ones."""
    words = [sum(len(pair[side].split()) for pair in pairs) for side in (1, 2)]
    counted = len(pairs), *words
    if counted != KNOWN.get(version, counted) or len(pairs) < LEAST_PAIRS:
        wanted = KNOWN.get(version, f"at least {LEAST_PAIRS} pairs")
        raise InputError(
            f"LibreOffice's help {version} must give {wanted} (pairs, de words, en words), "
            f"got {counted}"
        )


def split(pairs: Sequence[Triple]) -> Corpus:
    """Divide pairs into training, validation and test, such that no page is in two of them."""
    parts: dict[str, list[Triple]] = {"train": [], **{name: [] for name in PARTS}}
    for pair in pairs:
        place = int(hashlib.sha256(pair[0].encode()).hexdigest(), 16) % 100
        name = next((name for name, held in PARTS.items() if place in held), "train")
        parts[name].append(pair)
    texts = {
        name: ParallelText(tuple(de for _, de, _ in part), tuple(en for _, _, en in part))
        for name, part in parts.items()
    }
    return Corpus("libreoffice", texts["train"], texts["validation"], {"test": texts["test"]})


def _package(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{name}_*.deb"))), None)


def _run(command: Sequence[str], where: Path, folder: Path) -> str:
    try:
        ran = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=600)
        problem = ran.stderr.strip().rpartition("\n")[2] if ran.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        problem, ran = str(error), None
    if ran is None or problem is not None:
        raise InputError(
            f"data libreoffice needs {' '.join(command[:2])} to work, and it does not: {problem}; "
            f"put {' and '.join(PACKAGES.values())} (.deb) into {folder}, or use data text:DIR"
        )
    return ran.stdout


def _digest(pairs: Sequence[Sequence[str]]) -> str:
    return hashlib.sha256("\0".join("\t".join(pair) for pair in pairs).encode()).hexdigest()


def _cached(path: Path) -> list[Triple]:
    try:
        stored = json.loads(path.read_text())
        pairs = [(page, de, en) for page, de, en in stored["pairs"]]
        whole = _digest(pairs) == stored["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        whole, pairs = False, []
    if not whole:
        raise InputError(f"{path} must be the whole cache of LibreOffice's help: remove it")
    return pairs
