"""The pages: all are reachable, their links and anchors resolve, their commands are commands."""

import ast
import builtins
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import typer

from mofmd.analysis.base.registry import known_observables
from mofmd.cli.main import app
from mofmd.simulation.deck.protocol_file import known_protocols
from tests.reference import REPOSITORY

DOCS = REPOSITORY / "docs"
BUILT = ("_build", "_generated")
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    if not set(path.relative_to(DOCS).parts) & set(BUILT)
)
TEXTS = [*(page for page in PAGES if page.suffix == ".md"), REPOSITORY / "README.md"]
COMMANDS = sorted(DOCS.glob("tutorials/commands/*.sh"))


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules in docs/_ext can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(DOCS / "_ext")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(DOCS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def toctree(page: Path) -> set[Path]:
    """Pages that the toctrees of a page name."""
    found: set[Path] = set()
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), flags=re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                place = page.parent / line
                found |= set(place.parent.glob(f"{place.name}.md"))
                found |= set(place.parent.glob(f"{place.name}.ipynb"))
    return found


def test_every_page_is_in_a_toctree() -> None:
    reached, new = set[Path](), {DOCS / "index.md"}
    while new:
        reached |= new
        new = {child for page in new if page.suffix == ".md" for child in toctree(page)} - reached
    assert sorted(set(PAGES) - reached) == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
@pytest.mark.usefixtures("extension")
def test_links_and_anchors(page: Path) -> None:
    headings = load("text").headings
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|command-|#command-)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            # tables that are made from the code have no headings here that pages link to
            assert anchor in headings(file.read_text()), target


@pytest.mark.usefixtures("extension")
def test_every_command_is_in_the_reference() -> None:
    commands = load("commands")
    page = commands.page()
    names = set(commands.commands())
    assert {"generate", "ensemble run", "learn train", "build", "build lammps"} <= names
    for name, command in commands.commands().items():
        assert f"(command-{name.replace(' ', '-')})=" in page
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert f"`{parameter.opts[0]}`" in page


@pytest.mark.usefixtures("extension")
def test_every_key_of_protocols_is_in_the_reference() -> None:
    parts = re.split(r"^\(protocol-(\w+)\)=$", load("keys").protocols_page(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(sections) == set(known_protocols())
    for name, kind in known_protocols().items():
        for each in fields(kind):
            assert f"| `{each.name}` |" in parts[0] + sections[name], (name, each.name)


@pytest.mark.usefixtures("extension")
def test_every_observable_is_in_the_reference() -> None:
    observables = load("observables")
    entries = known_observables()
    assert {"rdf", "density", "elasticity"} <= set(entries)
    for name in ("density", "elasticity"):  # the others take seconds
        assert f"(observable-{name})=" in observables.section(name, entries[name])


def command_lines() -> Iterator[tuple[str, str]]:
    """Lines of code blocks of the pages, and of the tutorials' scripts, that call mofmd."""
    for page in TEXTS:
        for block in re.findall(r"```(?:console)?\n(.*?)```", page.read_text(), flags=re.DOTALL):
            for line in re.sub(r"\\\n", " ", block).splitlines():
                if re.match(r"(\$ )?mofmd [a-z]", line) and "[OPTIONS]" not in line:
                    yield str(page.relative_to(REPOSITORY)), line.removeprefix("$ ")
    for script in COMMANDS:
        for line in script.read_text().splitlines():
            if line.startswith("mofmd "):
                yield str(script.relative_to(REPOSITORY)), line


@pytest.mark.usefixtures("extension")
def test_commands_of_the_pages_are_commands() -> None:
    children = load("commands").children
    lines = list(command_lines())
    assert len(lines) > 50
    for where, line in lines:
        # [--optional] as a reader would write it; a second command on the line has its own turn
        words = shlex.split(re.sub(r"[\[\]]", "", line), comments=True)[1:]
        words = words[: words.index("&&")] if "&&" in words else words
        command, context = typer.main.get_command(app), None
        try:
            while words and words[0] in (found := children(command)):
                context = command.make_context("mofmd", words, parent=context)
                command = found[words.pop(0)]
            command.make_context("mofmd", words, parent=context)
        except Exception as error:
            pytest.fail(f"{where}: {line}\n{getattr(error, 'message', None) or error!r}")


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)
def test_tutorials_show_the_commands_that_were_run(script: Path) -> None:
    page = (DOCS / "tutorials" / f"{script.stem}.md").read_text()
    shown = " ".join(page.replace("\\\n", " ").split())
    for line in script.read_text().splitlines():
        if line.startswith("mofmd ") and "$(" not in line:
            assert " ".join(line.split()) in shown, line


def test_messages_of_the_errors_page_are_messages() -> None:
    source = " ".join(
        path.read_text() for path in REPOSITORY.glob("mofmd/**/*.py") if "_build" not in str(path)
    )
    # pieces of a message that is written over several lines belong together
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    table = (DOCS / "reference" / "errors.md").read_text().split("## Frequent messages")[1]
    messages = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(messages) > 8
    for message in messages:
        if message == "No such option":  # click's
            continue
        for piece in message.replace("manifest.json", "{MANIFEST}").split("…"):
            assert piece.strip() in source, message


@pytest.mark.parametrize("name", ["own_structure", "analysis"])
def test_python_of_the_tutorials(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "tutorials" / f"{name}.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, f"{name}.md", "exec"), {})
    told = capsys.readouterr().out
    assert {"own_structure": "C96H96N64Zn16", "analysis": "\n4"}[name] in told


@pytest.mark.long
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "index.html").is_file()


def test_figures_of_the_pages_are_small() -> None:
    files = list((DOCS / "tutorials").rglob("*.png"))
    sizes = [path.stat().st_size for path in files]
    assert max(sizes, default=0) < 150_000
    assert sum(sizes) < 1_200_000


def python_blocks() -> Iterator[tuple[str, str]]:
    for page in TEXTS:
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.M):
            yield str(page.relative_to(REPOSITORY)), block


def test_python_of_the_pages_is_complete() -> None:
    """Each block imports or makes every name that it uses, and what it imports is there."""
    found = list(python_blocks())
    assert {"README.md", "docs/relax.md", "docs/phonons.md"} <= {page for page, _ in found}
    for page, block in found:
        tree = ast.parse(block)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        known = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
                exec(compile(ast.Module([node], []), page, "exec"), {})
            elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.arg):
                known.add(node.arg if isinstance(node, ast.arg) else node.name)
        used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        assert not used - known, f"{page}: {sorted(used - known)}"
