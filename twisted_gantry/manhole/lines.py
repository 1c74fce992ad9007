"""Masking of the manhole's lines for the audit: what looks like a secret becomes `'***'`."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping

from twisted_gantry.core.commands.types import Argument

Arguments = Callable[[str], Mapping[str, Argument] | None]
"""Returns the arguments of a command by its name, None if no device knows it."""

HIDDEN = "'***'"

_LOOKS_SECRET = re.compile(r"pass|pwd|secret|token|auth|api_?key|credential|private", re.IGNORECASE)
_QUOTED = re.compile(r"""(['"])(?:\\.|(?!\1).)*(?:\1|$)""", re.DOTALL)


def masked(source: str, arguments: Arguments) -> str:
    """Return `source`, its lines ended by `\\n` alone, with `'***'` for what looks like a secret.

    Masked are secret arguments of a `command(…)`, all arguments of an unknown command, and values
    given, assigned or compared to a name such as `password`. In a text that is not Python, all
    quoted strings are masked. A secret under another name is not found.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _QUOTED.sub(HIDDEN, source)
    whole = source.encode()
    starts = [0]  # of the lines, as Python counts them
    for line in whole.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    text, end = b"", 0
    spans = sorted(
        (starts[node.lineno - 1] + node.col_offset, starts[last - 1] + column)
        for node in _secrets(tree, arguments)
        if (last := node.end_lineno) is not None and (column := node.end_col_offset) is not None
    )
    for begin, stop in spans:
        if begin >= end:  # else within a masked one
            text += whole[end:begin] + HIDDEN.encode()
            end = stop
    return (text + whole[end:]).decode()


def _secrets(tree: ast.AST, arguments: Arguments) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _of_call(node, arguments)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None and _looks_secret(key):
                    yield value
        elif isinstance(node, ast.Assign):
            if any(_looks_secret(target) for target in node.targets):
                yield node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            if _looks_secret(node.target) and node.value is not None:
                yield node.value
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_looks_secret(side) for side in sides):
                yield from (side for side in sides if isinstance(side, ast.Constant))


def _of_call(node: ast.Call, arguments: Arguments) -> Iterator[ast.expr]:
    called = _name(node.func)
    if called == "command":
        yield from _of_command(node, arguments)
    elif called == "Secret":
        yield from node.args
    elif called in {"Request", "execute"}:  # commands without `command`
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        yield from (value for value in values if not isinstance(value, ast.Constant))
    for keyword in node.keywords:
        if keyword.arg is not None and _LOOKS_SECRET.search(keyword.arg):
            yield keyword.value


def _of_command(node: ast.Call, arguments: Arguments) -> Iterator[ast.expr]:
    name = node.args[1] if len(node.args) > 1 else None
    known = arguments(str(name.value)) if isinstance(name, ast.Constant) else None
    yield from node.args[2:]
    for keyword in node.keywords:
        argument = known.get(keyword.arg) if known is not None and keyword.arg else None
        if keyword.arg != "confirm" and (argument is None or argument.secret):
            yield keyword.value


def _name(node: ast.AST) -> str:
    """Return the last name of an expression, empty if it has none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _name(node.slice)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


def _looks_secret(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple | ast.List):
        return any(_looks_secret(each) for each in node.elts)
    return _LOOKS_SECRET.search(_name(node)) is not None
