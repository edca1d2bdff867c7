"""The command line: its form, its help, and what it says where something is missing or misspelt."""

import logging
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from ase import Atoms
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

import mofmd
from mofmd.cli.base import verbosity
from mofmd.cli.main import app
from mofmd.engine import build
from mofmd.engine.launch import run_to_end
from mofmd.errors import USAGE_STATUS, InputError, InputWarning
from mofmd.models.files.validity import check_suits
from mofmd.phonons.model import ModelOptions
from mofmd.simulation.run.status import write_status

ROOT = typer.main.get_command(app)


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command and group below the first, by the words that call it."""
    context = group.make_context("mofmd", [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield " ".join((*path, name)), command
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))


ALL = dict(commands())


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_there_are_commands_at_two_levels() -> None:
    assert {"demo", "learn", "learn cut", "build lammps", "ensemble run"} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_help_of_every_command_has_examples_that_parse(name: str) -> None:
    code, text = run(*name.split(), "--help")
    assert code == 0
    before, heading, examples = text.partition("\nExamples:\n")
    assert heading, f"mofmd {name} --help has no examples"
    assert len(before.splitlines()) > 3
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert any(line.startswith(f"mofmd {name}") for line in lines)
    for line in lines:
        first, *words = shlex.split(line, comments=True)
        assert first == "mofmd"
        command, rest = ROOT, words
        while hasattr(command, "list_commands") and rest and rest[0] in command.list_commands(None):
            command, rest = command.get_command(None, rest[0]), rest[1:]
        command.make_context(line, list(rest))  # raises where an option is not there


def test_first_help_imports_little() -> None:
    code = (
        "import sys; sys.argv = ['mofmd', '--help']\n"
        "from mofmd.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([n for n in ('ase', 'numpy', 'torch', 'numba', 'rich', 'yaml') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Simulate:" in done.stdout


def test_version() -> None:
    assert run("--version") == (0, f"mofmd {mofmd.__version__}\n")


def test_completion_is_typers_own() -> None:
    _, text = run("--help")
    assert "--install-completion" in text
    environment = {"_MOFMD_COMPLETE": "complete_bash", "COMP_WORDS": "mofmd gen", "COMP_CWORD": "1"}
    path = ":".join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", "from mofmd.cli.main import app; app(prog_name='mofmd')"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["generate"], done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generat", "No such command: 'generat'; did you mean generate? There are"),
        ("defects lf", "No such command: 'lf'; there are ld, ld-2"),
        ("generate nvt --structur zif-4", "--structure"),
        ("deploy", "Missing: source, --output. For example: mofmd deploy my-model.ckpt -o"),
        ("learn pick frames.extxyz", "Missing: --output, --count. For example: mofmd learn pick"),
        ("run", "Missing argument 'deck'"),
    ],
)
def test_what_is_misspelt_or_missing_in_words(words: str, message: str) -> None:
    code, text = run(*words.split())
    assert code == 2
    assert message in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generate melt_quenh --structure zif-4 --model x -o y", "did you mean melt_quench?"),
        ("generate nvt --structure zif4 --model zif4-mace-s -o y", "did you mean zif-4?"),
        ("generate nvt --structure zif-4 --model zif4-mac-s -o y", "did you mean zif4-mace-s?"),
        ("generate nvt --structure zif-4 --model x -o y --set temperatur_K=3", "temperature_K?"),
        ("analyse zif4", "no built-in crystal; did you mean zif-4?"),
        ("analyse zif-4 --observables ring", "did you mean rings? There are rdf"),
        ("analyse zif-4 --set rings.dept=3", "did you mean depth?"),
        ("verify zif4-nequip", "did you mean zif4-nequip-s?"),
        ("bench zif4-nequip", "did you mean zif4-nequip-s?"),
        ("models show zif4-nequip", "did you mean zif4-nequip-s?"),
        ("deploy sevennet-l3i -o x.mofmd.pth", "did you mean sevennet-l3i5? There are"),
        ("deploy sevennet-mf-0-pbe -o x.mofmd.pth", "sevennet-mf-0 it is deployed with --modality"),
        ("deploy zif4-nequip-s -o x.mofmd.pth", "in the package is deployed already"),
        ("learn label zif-4 --labeller zif4-nequip -o x.extxyz", "did you mean zif4-nequip-s?"),
    ],
)
def test_what_is_misspelt_among_names(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mofmd.MofmdError) as refusal:
        CliRunner().invoke(app, words.split(), catch_exceptions=False)
    assert message in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_quiet_and_verbose_stand_anywhere(tmp_path: Path) -> None:
    words = ["generate", "nvt", "--structure", "zif-8", "--model", "zif4-mace-s", "-o"]
    told = {}
    for option in ("", "-q"):
        deck = str(tmp_path / f"deck{option}")
        done = subprocess.run(
            [sys.executable, "-m", "mofmd", *words, deck, *filter(None, [option])],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        told[option] = done.stderr
    assert "zif4-mace-s was made for ZnC6H6N4, this structure is ZnC8H10N4" in told[""]
    assert told["-q"] == ""
    wrong = [sys.executable, "-m", "mofmd", "-v", "models", "show", "none"]
    done = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "mofmd: error: model: none: no such model file" in done.stderr


def test_no_room_for_temporary_files(tmp_path: Path) -> None:
    """What the system refuses is one line, also where mofmd could not foresee it."""
    done = subprocess.run(
        [sys.executable, "-m", "mofmd", "verify", "zif4-allegro-s", "--structure", "zif-4"],
        # coverage, where it is measured, could not write its file either
        env={**os.environ, "TMPDIR": str(tmp_path), "COVERAGE_PROCESS_CONFIG": ""},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = f"mofmd: error: File too large; temporary files are in {tmp_path} (TMPDIR)\n"
    assert done.stderr.endswith(told)
    assert list(tmp_path.iterdir()) == []


def test_a_models_range_is_shown() -> None:
    code, text = run("models", "show", "zif4-nequip-s")
    assert code == 0
    assert "per_edge_type_cutoff: 3.5 Å: H-H; 4 Å: C-H, H-N; 4.5 Å: H-Zn; 5 Å: C-C" in text
    assert "range of validity: ZIF-4 composition and chemistry" in text
    assert "crystal, 300 K" in text  # a row of the errors
    assert "density" not in text
    text = run("models", "show", "uio66-mace-m")[1]
    assert (
        "density of its features: of C H Hf O Zr; novelty 1 is as rare as one atom in 100" in text
    )


def test_a_model_is_not_warned_of_for_its_own_framework(recwarn: pytest.WarningsRecorder) -> None:
    from mofmd.models.files.validity import validity_hint

    file = mofmd.embedded_model("zif4-mace-s")
    assert validity_hint(file, mofmd.zif4().repeat(2)) == ""
    assert "not hold for other frameworks" in validity_hint(file, mofmd.zif8())
    # whatever is missing of UiO-66, but nothing else
    file, crystal = mofmd.embedded_model("uio66-mace-m"), mofmd.uio66()
    blocks = mofmd.find_blocks(crystal)
    for defects in (
        mofmd.Defects(linkers=(0, 5), nodes=(2,)),
        mofmd.Defects(metals={0: "Hf", 3: "Hf"}),
    ):
        atoms = mofmd.make_defects(crystal, blocks, defects).atoms
        assert validity_hint(file, atoms) == ""
    for other in (mofmd.mof5(), crystal + Atoms("OH2"), Atoms("C84H52O32Zr6")):  # UiO-67
        assert "not hold for other frameworks" in validity_hint(file, other)
    assert not recwarn


def test_a_supercell_is_a_word(tmp_path: Path) -> None:
    words = ["generate", "nvt", "--structure", "zif-4", "--model", "zif4-mace-s"]
    texts = []
    for number, option in enumerate((["--set", "supercell=1x2x1"], ["--supercell", "1x2x1"])):
        deck = tmp_path / str(number)
        assert run(*words, "-o", str(deck), *option)[0] == 0
        texts.append((deck / "structure.data").read_bytes())
    assert texts[0] == texts[1]
    assert b"544 atoms" in texts[0]


@pytest.mark.parametrize("patience_s", [0.0, None])
def test_long_compilation_is_named_once(tmp_path: Path, patience_s: float | None) -> None:
    """Two loops take a second: that is worth a word to nobody but an impatient test."""
    is_impatient = patience_s is not None
    (tmp_path / "loops.py").write_text(
        "import mofmd.compiled\n"
        "from mofmd.cli.base import verbosity\n"
        "from mofmd.compiled import compiled\n"
        f"{f'mofmd.compiled.PATIENCE_S = {patience_s}' if is_impatient else ''}\n"
        "@compiled\n"
        "def one(x):\n    return x + 1\n"
        "@compiled\n"
        "def two(x):\n    return x + 2\n"
        "verbosity.listen()\n"
        "print(one(1) + two(1))\n"
    )
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "loops.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
        )  # fmt: skip
        assert done.stdout == "5\n"
        told.append(done.stderr)
    message = "mofmd: note: compiling loops, once on this machine: a minute or two"
    assert told[0].splitlines() == ([message] if is_impatient else [])
    assert told[1] == ""


@pytest.fixture
def listening() -> Iterator[None]:
    logger = logging.getLogger("mofmd")
    before = (list(logger.handlers), logger.level, logger.propagate)
    verbosity.listen()
    yield
    verbosity.set_level(0)
    logger.handlers, logger.level, logger.propagate = before


@pytest.mark.usefixtures("listening")
def test_what_is_launched_is_told_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for level, expected in ((1, True), (0, False)):
        verbosity.set_level(level)
        run_to_end(["echo", "hello there"], Path(), os.environ)
        assert ("run: in .: echo 'hello there'" in capsys.readouterr().err) is expected


def test_how_far_a_compiler_is_is_read_off_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "echo '[3/40] Building a'; echo 'warning: [9/40]'; echo '[30/40] b'"
    cmake = tmp_path / "cmake"
    cmake.write_text(f'#!/bin/sh\nif [ "$1" = --build ]; then {said}; fi\n')
    cmake.chmod(0o755)
    monkeypatch.setattr(build, "find_tool", lambda _: str(cmake))
    seen: list[tuple[str, int, int]] = []
    build.run_cmake(tmp_path, tmp_path, {}, progress=lambda *where: seen.append(where))
    assert seen == [("compiling", 3, 40), ("compiling", 30, 40)]


def test_an_unknown_word_of_an_option_says_which_is_near(tmp_path: Path) -> None:
    words = ["relax", "zif-4", "--model", "zif4-mace-s", "-o", str(tmp_path / "x")]
    code, text = run(*words, "--cell", "isotropic")
    assert code == USAGE_STATUS
    assert "Value error" not in text
    assert "'isotropic' is unknown; did you mean iso? There are tri, aniso, iso" in text


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "relax", "--structure", "mgo.cif"),
        ("relax", "mgo.cif"),
        ("phonons", "run", "mgo.cif"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_elements_are_checked_alike_and_first(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("mgo.cif", bulk("MgO", "rocksalt", 4.2))
    # nothing that takes time is loaded for it
    monkeypatch.setattr("mofmd.calculator.model._open", lambda *_: pytest.fail("model opened"))
    done = CliRunner().invoke(app, [*words, "--model", "zif4-mace-s", "-o", "out"])
    assert isinstance(done.exception, InputError)
    told = "model: zif4-mace-s.mofmd.pth lacks Mg, O: it knows H, C, N, Zn; take the universal"
    assert str(done.exception).startswith(told)


def test_another_framework_than_the_models_is_told() -> None:
    file = mofmd.embedded_model("zif4-mace-s")
    crystals = [mofmd.zif4(), mofmd.zif4().repeat((2, 1, 1))]
    check_suits(file, crystals)  # warnings are errors
    with pytest.warns(InputWarning, match="was made for ZnC6H6N4, this structure is C;"):
        check_suits(file, [*crystals, Atoms("C8", cell=[9, 9, 9], pbc=True), mofmd.zif8()])
    options = ModelOptions(model=Path("zif4-mace-s"))
    with pytest.warns(InputWarning, match="was made for ZnC6H6N4"), options.opened(mofmd.zif8()):
        pass


def test_static_tasks_are_listed_and_meant(tmp_path: Path) -> None:
    _, text = run("generate", "--list")
    assert {"relax", "equation_of_state", "nvt"} <= {
        line.partition(":")[0] for line in text.splitlines() if line[:1].strip()
    }
    words = ("--structure", "zif-4", "--model", "zif4-mace-s", "-o", str(tmp_path / "x"))
    done = CliRunner().invoke(app, ["generate", "relx", *words])
    assert "did you mean relax? There are elastic" in str(done.exception)


def test_names_of_the_package_are_those_that_it_offers() -> None:
    assert set(dir(mofmd)) == set(mofmd.__all__)
    assert not {"Any", "arrays", "errors"} & set(dir(mofmd))


def test_status_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    assert run("status", str(tmp_path)) == (0, f"{tmp_path}: waiting\n")
    write_status(tmp_path, state="stopped", stage="nvt", step=5, total_steps=9, error="asked")
    code, text = run("status", str(tmp_path))
    assert code == 0
    assert "stopped, nvt, step 5 of 9, written" in text
    assert text.endswith(": asked\n")
    done = CliRunner().invoke(app, ["status", str(tmp_path / "none")])
    assert "no such folder; give the folder that" in str(done.exception)
