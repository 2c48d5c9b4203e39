"""House rules that a program can check. The rules and their reasons are in docs/decisions.md."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
CONSENSUS: Final = sorted((ROOT / "consensus").rglob("*.py"))
CLAIMS: Final = sorted((ROOT / "node" / "claims").rglob("*.py"))
PURE: Final = [*CONSENSUS, *CLAIMS]
PRODUCT: Final = sorted([*(ROOT / "node").rglob("*.py"), *CONSENSUS])
EVERYTHING: Final = sorted([*PRODUCT, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

PURE_IMPORTS: Final = {
    "__future__", "abc", "array", "bisect", "collections", "collections.abc", "contextlib", "csv", "dataclasses",
    "datetime", "enum", "functools", "hashlib", "hmac", "heapq", "io", "itertools", "msgspec", "msgspec.structs",
    "operator", "re", "struct", "types", "typing",
}  # fmt: skip
"""No file, socket, process, thread, clock or random number comes from these. csv and io read text already in
memory; of datetime, see `CLOCKS`."""

CLOCKS: Final = {"now", "utcnow", "today", "fromtimestamp", "localtime"}
"""Attributes that read the clock or the machine's time zone."""

LAYERS: Final[dict[str, tuple[str, ...]]] = {
    # what                       must never import
    "consensus": ("node",),
    "node.claims": ("consensus", "node.*"),
    "node.merkle": ("node.api", "node.cli", "node.client", "node.node", "node.transport", "node.store", "node.state"),
    "node.state": ("node.api", "node.cli", "node.client", "node.node", "node.transport"),
    "node.store": ("node.api", "node.cli", "node.client", "node.node", "node.transport"),
    "node.mempool": ("node.api", "node.cli", "node.client", "node.node", "node.transport"),
    "node.transport": ("node.api", "node.cli", "node.client", "node.node", "node.store", "node.state"),
    "node.driver": ("node.api", "node.cli", "node.client"),
    "node.sync": ("node.api", "node.cli", "node.client"),
    # A client runs far from a node: it may know the application's words, never the node's machinery.
    "node.client": (
        "node.api.server",
        "node.api.service",
        "node.cli",
        "node.node",
        "node.store",
        "node.state",
        "node.driver",
        "node.transport",
    ),
    "node.oprf": (
        "node.api",
        "node.cli",
        "node.client",
        "node.duplicates",
        "node.node",
        "node.store",
        "node.transport",
    ),
    "node.duplicates": ("node.api", "node.cli", "node.client"),
    "node.fhir": ("node.api", "node.cli", "node.node", "node.store", "node.state", "node.driver", "node.transport"),
    # What a holder does with papers knows no HTTP server; what a client does with them knows no node.
    "node.vault": ("node.cli", "node.node", "node.state", "node.driver", "node.transport"),
    "node.vault.store": ("node.api", "node.client"),
    "node.vault.service": ("node.api", "node.client"),
    "node.vault.keeper": ("node.api", "node.client"),
    "node.vault.sealing": ("node.api", "node.client", "node.vault.store", "node.vault.service"),
    "node.api": ("node.cli", "node.client", "node.localnet"),
    "node": ("tests", "benchmarks"),
}

MAX_FUNCTION_LINES: Final = 70
MAX_FILE_LINES: Final = 450
LONG_FUNCTIONS: Final[dict[str, int]] = {}
"""`path::function` -> lines. A ratchet: nothing joins it, nothing in it grows, and what got shorter leaves."""
LONG_FILES: Final[dict[str, int]] = {}
"""`path` -> lines; the same ratchet."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module as (line, absolute dotted name); `from a import b` gives a.b if that is a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: write the whole module name, not a relative import"
            module = node.module or ""
            for alias in node.names:
                full = f"{module}.{alias.name}"
                target = ROOT / Path(*full.split("."))
                yield node.lineno, full if target.is_dir() or target.with_suffix(".py").is_file() else module


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_file_imports_nothing_that_touches_the_world(path: Path) -> None:
    own = "consensus" if path in CONSENSUS else "node.claims"
    for line, module in imports_of(path):
        allowed = module in PURE_IMPORTS or within(module, own)
        assert allowed, f"{name_of(path)}:{line}: {module} is not on the list of pure modules"


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_file_reads_no_clock(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in CLOCKS, f"{name_of(path)}:{node.lineno}: time arrives in the event or the block"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "input", "print", "eval", "exec", "__import__", "id", "hash"}, (
                f"{name_of(path)}:{node.lineno}: {node.func.id}() touches the world or differs between processes"
            )


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_file_has_no_float(path: Path) -> None:
    for node in ast.walk(tree(path)):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Div), f"{where}: use // and say who gets the remainder"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div), f"{where}: use // and say who gets the remainder"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{where}: a float"
        assert not (isinstance(node, ast.Name) and node.id in {"float", "complex"}), f"{where}: a float"


def is_set_annotation(annotation: ast.expr | None) -> bool:
    text = ast.unparse(annotation) if annotation is not None else ""
    return re.match(r"(set|frozenset|Set|AbstractSet|MutableSet)\b", text) is not None


class Sets:
    """What of a file holds a set, as far as can be seen without running it."""

    def __init__(self, module: ast.Module) -> None:
        self._names: dict[str, bool] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.AnnAssign):
                self._note(node.target, is_set_annotation(node.annotation))
            elif isinstance(node, ast.Assign) and len(node.targets) == 1:
                self._note(node.targets[0], self.is_set(node.value))
            elif isinstance(node, ast.arg):
                self._names[node.arg] = self._names.get(node.arg, False) or is_set_annotation(node.annotation)

    def _note(self, target: ast.expr, is_set: bool) -> None:
        if isinstance(target, ast.Name | ast.Attribute):
            name = ast.unparse(target)
            self._names[name] = self._names.get(name, False) or is_set

    def is_set(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Set | ast.SetComp):
            return True
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Attribute) and value.func.attr in {"union", "intersection", "difference"}:
                return True
            return isinstance(value.func, ast.Name) and value.func.id in {"set", "frozenset"}
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr | ast.BitAnd | ast.Sub):
            return self.is_set(value.left) or self.is_set(value.right)
        if isinstance(value, ast.IfExp):
            return self.is_set(value.body) or self.is_set(value.orelse)
        return isinstance(value, ast.Name | ast.Attribute) and self._names.get(ast.unparse(value), False)


ORDER_FREE: Final = {"sorted", "min", "max", "sum", "any", "all", "len", "set", "frozenset"}
"""Calls whose result does not depend on the order in which a set gives its items."""


def set_iterations(module: ast.Module) -> Iterator[int]:
    """Lines on which the order of a set decides something."""
    sets = Sets(module)
    harmless = {
        id(argument)
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDER_FREE
        for argument in node.args
    }
    for node in ast.walk(module):
        if isinstance(node, ast.For | ast.AsyncFor) and sets.is_set(node.iter):
            yield node.lineno
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(node) not in harmless:
            yield from (node.lineno for generator in node.generators if sets.is_set(generator.iter))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            if node.func.id in {"list", "tuple", "iter", "enumerate", "next", "dict"} and sets.is_set(node.args[0]):
                yield node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "pop" and not node.args and sets.is_set(node.func.value):
                yield node.lineno


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_file_never_lets_the_order_of_a_set_decide(path: Path) -> None:
    lines = sorted(set(set_iterations(tree(path))))
    assert not lines, f"{name_of(path)}: lines {lines}: sort it first; the order of a set differs between replicas"


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("for x in {1, 2}: f(x)", True),
        ("for x in set(items): f(x)", True),
        ("a = set()\nb = [x for x in a]", True),
        (
            "class C:\n    def __init__(self):\n        self.a: set[int] = set()\n    def f(self): return list(self.a)",
            True,
        ),
        ("def f(a: frozenset[int]): return tuple(a)", True),
        ("a = {1} | b\na.pop()", True),
        ("for x in sorted({1, 2}): f(x)", False),
        ("a = set()\nb = any(x for x in a)", False),
        ("a = {1: 2}\nfor x in a: f(x)", False),
        ("a = {1}\nb = {x for x in a}", False),
    ],
)
def test_the_set_rule_sees_what_it_should(source: str, caught: bool) -> None:
    assert bool(list(set_iterations(ast.parse(source)))) is caught


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    own = module_of(path)
    for line, module in imports_of(path):
        for layer, forbidden in LAYERS.items():
            if not within(own, layer):
                continue
            for prefix in forbidden:
                if prefix == "node.*":
                    broken = within(module, "node") and not within(module, "node.claims")
                else:
                    broken = within(module, prefix)
                assert not broken, f"{name_of(path)}:{line}: {layer} must not import {module}"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_handlers_name_what_they_catch(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{name_of(path)}:{node.lineno}: name the exception"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_assert_only_tells_the_type_checker_something(path: Path) -> None:
    """`python -O` removes assert; what must hold raises InvariantBroken."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assert):
            text = ast.unparse(node.test)
            narrowing = " is not " in text or text.startswith("isinstance(")
            assert narrowing, f"{name_of(path)}:{node.lineno}: raise instead of assert"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_module_name_says_what_it_is_for(path: Path) -> None:
    assert not {"utils", "util", "common", "helpers", "helper", "misc"} & set(
        path.relative_to(ROOT).with_suffix("").parts
    )


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every function as (qualified name, lines from `def` to its end)."""

    def visit(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{child.name}", (child.end_lineno or child.lineno) - child.lineno + 1
                yield from visit(child, f"{prefix}{child.name}.")
            else:
                yield from visit(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)

    return visit(tree(path), "")


def ratchet(kind: str, sizes: dict[str, int], limit: int, known: dict[str, int]) -> list[str]:
    """What breaks the ratchet, in words."""
    problems = [
        f"{name} has {size} lines, at most {known.get(name, limit)}: does it do two things?"
        for name, size in sorted(sizes.items())
        if size > known.get(name, limit)
    ]
    problems += [
        f"{name} is short enough now: take it off the list of {kind}" for name in known if sizes.get(name, 0) <= limit
    ]
    return problems


def test_a_function_fits_on_a_screen() -> None:
    sizes: dict[str, int] = {}
    for path in EVERYTHING:
        for function, lines in functions_of(path):
            name = f"{name_of(path)}::{function}"
            sizes[name] = max(lines, sizes.get(name, 0))
    assert not ratchet("long functions", sizes, MAX_FUNCTION_LINES, LONG_FUNCTIONS)


def test_a_file_does_one_job() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    assert not ratchet("long files", sizes, MAX_FILE_LINES, LONG_FILES)


def shell_commands(path: Path) -> Iterator[tuple[int, str]]:
    """Commands in a document's ```sh / ```console blocks, as (line, command); output and comments left out."""
    language, pending = None, ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence:
            language = None if language is not None else fence.group(1)
            continue
        if language not in {"sh", "console", "bash"}:
            continue
        text = line.strip()
        if language == "console" and not pending:
            if not text.startswith("$ "):
                continue
            text = text[2:]
        pending += text.removesuffix("\\")
        if text.endswith("\\"):
            continue
        if pending and not pending.startswith("#"):
            yield number, pending
        pending = ""


def documented(program: str) -> list[tuple[str, list[str]]]:
    """Each use of `program` in the documents: (where, its arguments)."""
    found: list[tuple[str, list[str]]] = []
    for path in DOCUMENTS:
        for line, command in shell_commands(path):
            for part in re.split(r"\s*(?:&&|\|\||\||;)\s*", command):
                words = shlex.split(part, comments=True)
                while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in {"sudo", "nohup"}):
                    words = words[1:]
                if words and words[0].rsplit("/", 1)[-1] == program:
                    found.append((f"{name_of(path)}:{line}", words[1:]))
    return found


def test_every_make_target_in_the_documents_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    uses = documented("make")
    assert uses, "README.md shows how to start"
    for where, words in uses:
        for word in words:
            assert "=" in word or word.startswith("-") or word in targets, f"{where}: make {word} does not exist"


def test_every_weal_command_in_the_documents_exists() -> None:
    """The commands and options shown are asked of the program itself, without running anything."""
    import click

    from node.cli.app import weal

    root: click.Command = weal
    for where, words in documented("weal"):
        command: click.Command = root
        context = click.Context(command, info_name="weal", **command.context_settings)
        rest = list(words)
        while isinstance(command, click.Group):
            while rest and rest[0].startswith("-"):
                assert option_of(command, context, rest[0]) is not None, f"{where}: weal has no option {rest[0]}"
                rest = rest[1:]
            if not rest:
                break
            found = command.get_command(context, rest[0])
            assert found is not None, f"{where}: weal {' '.join(words)}: no command {rest[0]}"
            command, context, rest = found, click.Context(found, info_name=rest[0], parent=context), rest[1:]
        for word in rest:
            if word == "--":
                break
            if word.startswith("--"):
                assert option_of(command, context, word) is not None, f"{where}: weal {' '.join(words)}: no {word}"


def option_of(command: object, context: object, word: str) -> object:
    import click

    assert isinstance(command, click.Command)
    assert isinstance(context, click.Context)
    name = word.split("=", 1)[0]
    return next((p for p in command.get_params(context) if name in [*p.opts, *p.secondary_opts]), None)


def test_every_configuration_key_is_documented() -> None:
    """By its description in the file that `weal init` writes, and by name in the operator's manual."""
    from node.config import Config, commented_toml

    manual = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    written = commented_toml(Config()).splitlines()
    section = ""
    keys: list[str] = []
    for previous, line in pairwise(["", *written]):
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match.group(1)
        elif match := re.match(r"(\w+) = ", line):
            keys.append(f"{section}.{match.group(1)}")
            assert previous.startswith("# "), f"{keys[-1]} has no description"
    assert len(keys) > 20
    assert not [key for key in keys if f"`{key}`" not in manual], "not in docs/operations.md"


def test_importing_a_module_starts_nothing() -> None:
    """Importing every module of the product opens no file to write, no socket, no thread and no process."""
    modules = [module_of(path) for path in PRODUCT if path.name != "__main__.py"]
    program = (
        "import sys, threading\n"
        "broken = ('socket.bind', 'socket.connect', 'subprocess.Popen', 'os.system', 'os.fork')\n"
        "def hook(event, arguments):\n"
        "    if event in broken: raise SystemExit(f'importing did {event} {arguments}')\n"
        "    if event == 'open' and isinstance(arguments[1], str) and set(arguments[1]) & set('wax+'):\n"
        "        raise SystemExit(f'importing opened {arguments[0]} to write')\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(hook)\n"
        f"for name in {modules!r}: __import__(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
