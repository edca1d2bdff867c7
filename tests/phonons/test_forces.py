"""Forces of displacements: kept as they come, resumed, refused; how good force constants are."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from mofmd.disk.lock import LOCK
from mofmd.engine.evaluate import Evaluation
from mofmd.errors import InputError, InputWarning, RunError
from mofmd.models.files.embedded import embedded_model
from mofmd.phonons.calculation.displacements import DisplacementOptions
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.cells import model_reach_A, sufficient_supercell
from mofmd.phonons.elastic import elastic_in_folder
from mofmd.phonons.extra import need_packages
from mofmd.phonons.imaginary.removal import remove_imaginary
from mofmd.phonons.run import ForceOptions, Model, choose_supercell, forces_in_folder
from mofmd.phonons.temperature.expansion import expand
from mofmd.relaxation import RelaxOptions, relax, relax_in_folder
from mofmd.structures.read import read_structure
from tests.phonons.crystals import EXACT, Counting, Handed, argon, chain, fcc, pairs, phonons

SUPERCELL = (3, 3, 3)
SMALL = ForceOptions(supercell=(2, 2, 2))


def made(folder: Path, evaluator: Counting, **options: object) -> np.ndarray:
    _, constants = forces_in_folder(
        fcc(),
        evaluator,
        Model("test"),
        folder,
        ForceOptions(supercell=SUPERCELL, displacements=EXACT, **options),  # type: ignore[arg-type]
    )
    return constants.values_eV_per_A2


def test_interrupted_forces_go_on(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole", Counting(argon()))
    first, second = Counting(argon(), most=2), Counting(argon())
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "parts", first)
    kept = {path: path.read_bytes() for path in (tmp_path / "parts/forces").glob("*.npz")}
    assert len(kept) == 2
    found = made(tmp_path / "parts", second)
    assert second.count == 6 - 2  # four displacements, the undisplaced one, a mirror image
    np.testing.assert_array_equal(found, whole)
    assert all(path.read_bytes() == content for path, content in kept.items())


@pytest.mark.long
def test_killed_forces_go_on(tmp_path: Path) -> None:
    """SIGKILL in the middle, then the rest: the force constants of a whole run, to the last bit."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.phonons.crystals import Counting, argon\n"
        "from tests.phonons.test_forces import made\n"
        "class Slow(Counting):\n"
        "    def map(self, structures):\n"
        "        for found in super().map(structures):\n"
        "            yield found\n"
        "            time.sleep(1.0)\n"
        "made(Path(sys.argv[1]), Slow(argon()))\n"
    )
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    try:
        end = time.monotonic() + 120
        while len(list((folder / "forces").glob("*.npz"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    rest = Counting(argon())
    found = made(folder, rest)
    assert 1 <= rest.count <= 6 - 2  # the mirror image among them
    np.testing.assert_array_equal(found, made(tmp_path / "whole", Counting(argon())))


def test_forces_of_something_else_are_refused(tmp_path: Path) -> None:
    phonons(fcc(), argon(), tmp_path, SUPERCELL)
    other = fcc()
    other.set_cell(other.cell.array * 1.0001, scale_atoms=True)
    with pytest.raises(InputError, match="another structure"):
        phonons(other, argon(), tmp_path, SUPERCELL, force_limit_eV_per_A=1.0)
    with pytest.raises(InputError, match="other displacements"):
        phonons(fcc(), argon(), tmp_path, SUPERCELL, DisplacementOptions(distances_A=(0.01,)))
    with pytest.raises(InputError, match="another model"):
        forces_in_folder(
            fcc(),
            Counting(argon()),
            Model("other"),
            tmp_path,
            ForceOptions(supercell=SUPERCELL, displacements=EXACT),
        )
    file = next((tmp_path / "forces").glob("0*.npz"))
    with np.load(file) as arrays:
        changed = {**arrays, "of": np.str_("something else")}
    np.savez(file, **changed)
    with pytest.raises(InputError, match=f"{file.name}: holds forces of another"):
        phonons(fcc(), argon(), tmp_path, SUPERCELL)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


CALCULATIONS: dict[str, tuple[str, Callable[..., object]]] = {
    "elastic": (
        "strain-6-",
        lambda atoms, folder, **more: elastic_in_folder(
            atoms, argon(), folder, on_strain=stop, **more
        ),
    ),
    "imaginary": (
        "round-05",
        lambda atoms, folder, **more: remove_imaginary(
            atoms, argon(), Counting(argon(), 0), Model("test"), folder, None, SMALL, **more
        ),
    ),
    "qha": (
        "volume-08",
        lambda atoms, folder, **more: expand(
            atoms, argon(), Counting(argon(), 0), Model("test"), folder, None, SMALL, **more
        ),
    ),
}


@pytest.mark.parametrize("name", CALCULATIONS)
def test_a_folder_is_begun_anew(name: str, tmp_path: Path) -> None:
    """Where that is asked for alone, with all of it, also what would come late."""
    late, calculate = CALCULATIONS[name]
    other = fcc()
    other.set_cell(1.001 * other.cell.array, scale_atoms=True)
    with pytest.raises(KeyboardInterrupt):
        calculate(fcc(), tmp_path)
    (tmp_path / late).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"another structure.*another folder, or --overwrite"):
        calculate(other, tmp_path)
    assert (tmp_path / late).exists()
    with pytest.raises(KeyboardInterrupt):
        calculate(other, tmp_path, overwrite=True)
    assert not (tmp_path / late).exists()
    assert (tmp_path / "notes.txt").exists()
    with pytest.raises(KeyboardInterrupt):  # it goes on
        calculate(other, tmp_path)


def test_forces_of_another_supercell_are_refused(tmp_path: Path) -> None:
    """As many atoms, displaced alike: hashes of displacements do not tell them apart."""
    phonons(chain(), argon(), tmp_path, (3, 2, 1))
    for supercell in ((3, 1, 2), (4, 2, 1)):
        with pytest.raises(InputError, match=r"forces of .*another supercell; choose another f"):
            phonons(chain(), argon(), tmp_path, supercell)


class Spoilt:
    """Gives one evaluation another look."""

    def __init__(self, number: int, **changes: Any) -> None:
        self.number, self.changes = number, changes

    def map(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        for found in InProcess(argon()).map(structures):
            self.number -= 1
            yield replace(found, **self.changes) if self.number == -1 else found


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (0, {"energy_eV": np.nan}, "toy: the undisplaced structure: energy .* not finite"),
        (2, {"forces_eV_per_A": np.full((27, 3), np.nan)}, "toy: displacement 1: forces .* not f"),
        (1, {"forces_eV_per_A": np.zeros((26, 3))}, r"displacement 0: forces of shape \(26, 3\)"),
        (5, {"forces_eV_per_A": np.full((27, 3), np.inf)}, "toy: the mirror image: forces"),
    ],
)
def test_results_that_are_no_numbers_are_not_kept(
    number: int, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    def go(evaluator: Any, model: Model) -> np.ndarray:
        options = ForceOptions(supercell=SUPERCELL, displacements=EXACT)
        return forces_in_folder(fcc(), evaluator, model, tmp_path, options)[1].values_eV_per_A2

    model = Model("test", facts={"model": "toy"})
    with pytest.raises(RunError, match=f"{said}.*not kept"):
        go(Spoilt(number, **changes), model)
    assert len(list((tmp_path / "forces").glob("*.npz"))) == number
    assert np.isfinite(go(Counting(argon()), model)).all()


@pytest.mark.parametrize("name", ["00000.npz", "undisplaced.npz", "mirrored.npz"])
def test_damaged_results_are_named(name: str, tmp_path: Path) -> None:
    made(tmp_path, Counting(argon()))
    file = tmp_path / "forces" / name
    with np.load(file) as arrays:
        whole = dict(arrays)
    for change in ({"forces_eV_per_A": np.zeros((2, 3))}, {"forces_eV_per_A": None}):
        changed = {**whole, **change}
        np.savez(file, **{key: value for key, value in changed.items() if value is not None})
        with pytest.raises(InputError, match=rf"{name}: .*forces.*; remove it, and it is made an"):
            made(tmp_path, Counting(argon()))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=rf"{name}: .*damaged.*; remove it, and it is made anew"):
        made(tmp_path, Counting(argon()))
    np.savez(file, **{**whole, "energy_eV": np.float64(np.nan)})
    with pytest.raises(InputError, match=rf"{name}: energy with values that are not finite"):
        made(tmp_path, Counting(argon()))


def test_displacement_too_large() -> None:
    with pytest.raises(InputError, match=r"0\.3 Å, expected .* at most 0\.2 Å"):
        DisplacementOptions(distances_A=(0.3,))


def test_a_supercell_of_one_atom(tmp_path: Path) -> None:
    for method in ("differences", "random", "fewest"):
        options = DisplacementOptions(method=method)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"supercell: holds one atom, .* larger supercell"):
            phonons(fcc(), argon(), tmp_path / method, (1, 1, 1), options)
        assert not (tmp_path / method).exists()


def test_structure_that_is_not_relaxed(tmp_path: Path) -> None:
    atoms = fcc().repeat((1, 1, 2))
    atoms.positions[1, 2] += 0.05
    counting = Counting(argon())
    with pytest.raises(InputError, match=r"not relaxed.*mofmd relax"):
        forces_in_folder(
            atoms, counting, Model("test"), tmp_path, ForceOptions(supercell=SUPERCELL)
        )
    assert counting.count == 1  # nothing else was evaluated


@pytest.mark.parametrize(("distance", "precision"), [(1e-4, "float32"), (1e-7, "float64")])
def test_displacement_too_small_for_the_precision(
    distance: float, precision: str, tmp_path: Path
) -> None:
    options = ForceOptions(
        supercell=SUPERCELL, displacements=DisplacementOptions(distances_A=(distance,))
    )
    with pytest.raises(InputError, match=f"too small for forces in {precision}"):
        forces_in_folder(
            fcc(),
            Counting(argon()),
            Model("test", precision=precision),  # type: ignore[arg-type]
            tmp_path,
            options,
        )


def test_supercell_and_the_reach_of_the_model() -> None:
    zif = read_structure("zif-4")
    reach, known = model_reach_A(embedded_model("zif4-mace-m"))
    assert known
    model = Model("m", reach_A=reach)
    enough = sufficient_supercell(zif.cell.array, reach)
    text = "x".join(map(str, enough))
    with pytest.warns(InputWarning, match=f"{text} suffices"):
        choose_supercell(zif, model, ForceOptions(supercell=(1, 1, 1)))
    np.testing.assert_array_equal(choose_supercell(zif, model, ForceOptions()), np.diag(enough))
    with pytest.raises(InputError, match=r"supercell: .* needs"):
        choose_supercell(zif, Model("m", reach_A=40.0), ForceOptions())


@pytest.mark.filterwarnings("ignore:model. gives other forces to a mirror image")
def test_noise_of_forces_is_measured(tmp_path: Path) -> None:
    """Asymmetry and drift are zero without noise, and grow with it; several distances lower it."""
    noise = 1e-5
    clean, noisy, fitted = [], [], []
    for name, level, distances, into in (
        ("a", 0.0, (0.005, 0.01), clean),
        ("b", noise, (0.005,), noisy),
        ("c", noise, (0.005, 0.02, 0.03), fitted),
    ):
        _, found = forces_in_folder(
            chain(),
            Counting(argon(), noise_eV_per_A=level),
            Model("test"),
            tmp_path / name,
            ForceOptions(
                supercell=(3, 1, 1), displacements=DisplacementOptions(distances_A=distances)
            ),
        )
        into.append(found)
    assert clean[0].asymmetry_eV_per_A2 < 1e-9
    assert clean[0].drift_eV_per_A2 < 1e-9
    expected = noise / 0.005  # of a force constant, without what symmetry averages
    assert 0.05 * expected < noisy[0].asymmetry_eV_per_A2 < 2 * expected
    assert noisy[0].drift_eV_per_A2 > 0.1 * expected
    assert fitted[0].asymmetry_eV_per_A2 < 0.5 * noisy[0].asymmetry_eV_per_A2


def test_a_model_without_mirror_images_is_told(tmp_path: Path) -> None:
    """Displacements that an inversion spares are not those of such a model."""
    asked = RelaxOptions(fmax_eV_per_A=1e-6, cell="fixed", keep_symmetry=True)
    atoms = relax(pairs(), Handed(0.0), asked).atoms
    once = (1, 1, 1)
    _, mirrored = phonons(atoms, Handed(0.0), tmp_path / "mirrored", once)
    assert mirrored.mirror_share is not None
    assert mirrored.mirror_share < 1e-6
    with pytest.warns(InputWarning, match="other forces to a mirror image"):
        _, handed = phonons(
            atoms, Handed(0.05), tmp_path / "handed", once, force_limit_eV_per_A=1.0
        )
    assert handed.mirror_share is not None
    assert handed.mirror_share > 1e-2


def test_packages_that_lack_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofmd.phonons.extra.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"phonopy, seekpath.*mofmd\[phonons\]"):
        need_packages()


def test_phonopy_files_are_phonopys(tmp_path: Path) -> None:
    """What is left can be read by phonopy itself, with the same frequencies."""
    import phonopy as package
    from phonopy.file_IO import parse_FORCE_CONSTANTS

    own, constants = phonons(fcc(), argon(), tmp_path, SUPERCELL)
    other = package.load(
        tmp_path / "phonopy.yaml", primitive_matrix="P", produce_fc=False, log_level=0
    )
    other.force_constants = parse_FORCE_CONSTANTS(tmp_path / "FORCE_CONSTANTS")
    q = [[0.1, 0.2, 0.3]]
    np.testing.assert_allclose(
        other.run_qpoints(q).frequencies, own.run_qpoints(q).frequencies, atol=1e-6
    )
    assert constants.values_eV_per_A2.shape == (1, 27, 3, 3)
    with pytest.raises(ValueError, match="read-only"):
        constants.values_eV_per_A2[0] = 1.0
    plan = json.loads((tmp_path / "forces/plan.json").read_text())
    assert plan["evaluations"] == 5


class Failing(LennardJones):  # type: ignore[misc]
    """Fails at once, as a model does that does not know an element."""

    def calculate(self, *_: object, **__: object) -> None:
        raise RunError("no such element")


@pytest.mark.parametrize("what", ["elastic", "imaginary", "qha", "relax", "forces"])
def test_old_results_stay_until_the_first_evaluation_has_succeeded(
    what: str, tmp_path: Path
) -> None:
    """Begun anew with what fails, the folder is as it was."""
    atoms, model = fcc(), Model("failing")
    for name in ("relax/relaxed.json", "strain-1+/state.npz", "elastic.json", "round-00/start.npz",
                 "options.json", "volume-00/relax/state.npz", "forces/plan.json", "state.npz",
                 "relaxed.json", "forces/00000.npz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    kept = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    fails, evaluates = Failing(), InProcess(Failing())
    begun: dict[str, Callable[[], object]] = {
        "elastic": lambda: elastic_in_folder(atoms, fails, tmp_path, overwrite=True),
        "imaginary": lambda: remove_imaginary(
            atoms, fails, evaluates, model, tmp_path, forces=SMALL, overwrite=True
        ),
        "qha": lambda: expand(
            atoms, fails, evaluates, model, tmp_path, forces=SMALL, overwrite=True
        ),
        "relax": lambda: relax_in_folder(atoms, fails, RelaxOptions(), tmp_path, overwrite=True),
        "forces": lambda: forces_in_folder(
            atoms, evaluates, model, tmp_path, SMALL, overwrite=True
        ),
    }
    with pytest.raises(RunError, match="no such element"):
        begun[what]()
    left = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: text for path, text in left.items() if path.name != LOCK} == kept


def test_forces_begun_anew_replace_the_old_ones(tmp_path: Path) -> None:
    made(tmp_path, Counting(argon()))
    (tmp_path / "forces/00099.npz").write_text("old")
    again = Counting(argon())
    options = ForceOptions(supercell=SUPERCELL, displacements=EXACT)
    forces_in_folder(fcc(), again, Model("other"), tmp_path, options, overwrite=True)
    assert again.count == 6
    assert not (tmp_path / "forces/00099.npz").exists()
