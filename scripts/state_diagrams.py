"""The pages of docs/machines: each is made from the Automat table in one module's `_build`."""

import ast
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

FOLDER = Path(__file__).parent.parent / "docs" / "machines"

# Page, title and module of each machine.
MACHINES = (
    ("alarm", "The life cycle of an alarm", "core.lifecycle"),
    ("condition", "The condition of a rule", "core.conditions"),
    ("battery-test", "Battery test of a UPS", "devices.upscard.battery_machine"),
    ("fogslink-client", "Fogslink session, device side", "wire.fogslink.client"),
    ("fogslink-cloud", "Fogslink session, cloud side", "wire.fogslink.cloud"),
    ("interlock", "Interlock", "core.interlocks.machine"),
    ("notification", "What a target is told of an alarm", "notify.stages"),
    ("relay", "Power behind a relay", "devices.relay.machine"),
    ("ups-card-session", "UPS card session", "wire.upscard.session"),
)
NO_ACTION = "returns(None)"


@dataclass(frozen=True)
class Transition:
    """A row of a table; `action` is `NO_ACTION` for an input that changes the state at most."""

    old: str
    input: str
    new: str
    action: str

    @property
    def ignored(self) -> bool:
        """Whether the input does nothing."""
        return self.action == NO_ACTION and self.old == self.new


def sentences(module: ModuleType) -> dict[str, str]:
    """Return the states of a module's table in order, each with the sentence behind it."""
    [build] = ast.parse(inspect.getsource(module._build)).body
    assert isinstance(build, ast.FunctionDef)
    found = {}
    for made, said in zip(build.body, build.body[1:], strict=False):
        match made, said:
            case (
                ast.Assign(
                    value=ast.Call(
                        func=ast.Attribute(attr="state"), args=[ast.Constant(value=str(name))]
                    )
                ),
                ast.Expr(value=ast.Constant(value=str(sentence))),
            ):
                found[name] = " ".join(sentence.split())
    return found


def inputs(module: ModuleType) -> dict[str, str]:
    """Return the inputs of a module's machine in order, each with its sentence."""
    protocol = get_args(get_type_hints(module._build)["return"])[1]
    return {
        name: " ".join(inspect.cleandoc(method.__doc__ or "").split())
        for name, method in vars(protocol).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


def transitions(module: ModuleType) -> list[Transition]:
    """Return the rows of a module's table, by the order of states and inputs in the module."""
    automaton: Any = module._build().__automat_automaton__
    rows = [
        Transition(old.name, symbol, new.name, outputs[-1].name)
        for old, symbol, new, outputs in automaton.allTransitions()
    ]
    states, symbols = list(sentences(module)), list(inputs(module))
    rows.sort(key=lambda row: (states.index(row.old), symbols.index(row.input)))
    return rows


def diagram(rows: list[Transition], states: Sequence[str]) -> list[str]:
    """Return the lines of a Mermaid diagram; ignored inputs are left out.

    An input that leads from every state to the same one is a note there, in place of its arrows.
    """
    origins: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        origins.setdefault((row.input, row.new), set()).add(row.old)
    everywhere = [key for key, old in origins.items() if old >= {*states} - {key[1]}]
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if not row.ignored and (row.input, row.new) not in everywhere:
            arrows.setdefault((row.old, row.new), []).append(row.input)
    return [
        "stateDiagram-v2",
        f"    [*] --> {states[0]}",
        *(f"    {old} --> {new}: {', '.join(names)}" for (old, new), names in arrows.items()),
        *(f"    note right of {new}: {name}, from every state" for name, new in everywhere),
    ]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def page(title: str, name: str) -> str:
    """Return the page of one machine. Raises ValueError for a state without a sentence."""
    module = import_module(f"twisted_gantry.{name}")
    states, rows = sentences(module), transitions(module)
    silent = {row.new for row in rows} - states.keys()
    if silent:
        raise ValueError(f"{name}: no sentence for {', '.join(sorted(silent))}")
    ignored = {
        state: ", ".join(row.input for row in rows if row.old == state and row.ignored)
        for state in states
    }
    said = [(f"`{state}`", sentence, ignored[state]) for state, sentence in states.items()]
    heard = [(f"`{each}`", sentence) for each, sentence in inputs(module).items()]
    steps = [
        (
            f"`{row.old}`",
            row.input,
            f"`{row.new}`",
            row.action.replace(NO_ACTION, "–").replace("_", " "),
        )
        for row in rows
        if not row.ignored
    ]
    source = f"twisted_gantry/{name.replace('.', '/')}.py"
    lines = [
        f"# {title}",
        "",
        f"Made by `scripts/diagrams` from the table in `{source}`.",
        "",
        "```mermaid",
        *diagram(rows, list(states)),
        "```",
        "",
        *table(("State", "Meaning", "Ignored inputs"), said),
        "",
        *table(("Input", "Meaning"), heard),
        "",
        *table(("State", "Input", "Next state", "Action"), steps),
        "",
    ]
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Return the text of every page, by its file."""
    index = [
        "# State machines",
        "",
        "Made by `scripts/diagrams`, a page for each Automat table of the product. After a change",
        "of a table run the script; a test compares the two.",
        "",
        *table(
            ("Machine", "Table"),
            [
                (f"[{title}]({file}.md)", f"`twisted_gantry/{name.replace('.', '/')}.py`")
                for file, title, name in MACHINES
            ],
        ),
        "",
    ]
    made = {FOLDER / f"{file}.md": page(title, name) for file, title, name in MACHINES}
    return {FOLDER / "README.md": "\n".join(index), **made}


def different() -> list[str]:
    """Return what is wrong with the pages on the disk, a text each."""
    wanted = pages()
    stray = [f"{file} belongs to no machine" for file in FOLDER.glob("*") if file not in wanted]
    return stray + [
        f"{file} differs from its table; run scripts/diagrams"
        for file, text in wanted.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; returns the exit code."""
    if arguments == ["--check"]:
        wrong = different()
        print("\n".join(wrong) or "the state diagrams are up to date")
        return bool(wrong)
    if arguments:
        print("usage: scripts/diagrams [--check]", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
