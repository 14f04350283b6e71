"""The help of every option as running text, without the line breaks of the source.

tyro reads an option's help from the docstring below its field. It keeps a line break before every
line that is indented, which all further lines of such a docstring are. A field's own metadata come
first, so the joined text is put there.
"""

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_args


def join_lines(kind: Any) -> None:
    """Join the lines of the help of all options of a command, those of its groups included."""
    kind = next(iter(get_args(kind)), kind)
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return
    texts = {name: text for owner in reversed(kind.__mro__) for name, text in _docs(owner).items()}
    for option in fields(kind):
        join_lines(option.type)
        if option.name in texts:
            joined = " ".join(texts[option.name].split())
            option.metadata = MappingProxyType({"help": joined, **option.metadata})


def _docs(owner: type) -> dict[str, str]:
    """The docstrings below the fields of a class; none where it has no source."""
    if not is_dataclass(owner):
        return {}
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    except OSError:
        return {}
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for option, below in pairwise(tree.body):
        match option, below:
            case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                found[name] = text
    return found
