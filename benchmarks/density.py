"""What a density of features finds: formates in UiO-66, and frames beyond those it was fitted to.

UiO-66: the density of a model is fitted to dynamics of the pristine crystal (`--pristine`, of which
the last quarter is held out), then scores other dynamics of it (`--test`) and of a crystal with
formates in place of a linker (`--defect`). ZIF-4: a model of the package, fitted to the cooler half
of frames that a reference method has labelled (`--labelled`), scores the others; rank correlation
of the score of an atom and the error of the force on it.

Usage: python benchmarks/density.py uio66 --model F --pristine P.dump --test T.dump --defect D.dump
       python benchmarks/density.py zif4 --labelled teacher_frames.npz [--model zif4-nequip-s]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

from mofmd.calculator.density.density import Density
from mofmd.geometry.neighbours import find_pairs
from mofmd.learning.data.dataset import labels_of, read_npz
from mofmd.learning.density.fit import FitOptions
from mofmd.learning.density.model_density import FileFeatures, deal_out, fit_density
from mofmd.learning.evaluate.prediction import predict
from mofmd.models.names import find_model
from mofmd.structures.molecules import box_of
from mofmd.trajectory.in_memory import read_dump


def read(files: Sequence[Path]) -> list[Atoms]:
    frames = []
    for file in files:
        for atoms in read_dump(file).to_ase():
            atoms.info["trajectory"] = file.name
            frames.append(atoms)
    return frames


def formates(atoms: Atoms) -> np.ndarray:
    """Atoms of HCOO: carbon bonded to two oxygens and a hydrogen, and these."""
    symbols = np.array(atoms.get_chemical_symbols())
    pairs = find_pairs(atoms.positions, box_of(atoms, 4.0), 1.6)
    bonded = (symbols[pairs.first] == "C") & np.isin(symbols[pairs.second], ["C", "O", "H"])
    bonded &= (symbols[pairs.second] != "H") | (pairs.distances < 1.4)
    found = []
    for carbon in np.flatnonzero(symbols == "C"):
        near = pairs.second[bonded & (pairs.first == carbon)]
        if sorted(symbols[near]) == ["H", "O", "O"]:
            found += [int(carbon), *near.tolist()]
    return np.array(sorted(found))


def table(density: Density, source: FileFeatures, frames: Sequence[Atoms]) -> np.ndarray:
    symbols = [np.array(frame.get_chemical_symbols()) for frame in frames]
    return np.array([
        density.scores(names, source.of_atoms(frame))
        for names, frame in zip(symbols, frames, strict=True)
    ])  # fmt: skip


def share(scores: np.ndarray) -> str:
    new = 100.0 * (scores > 1.0).mean()
    return f"{new:.2f} % of {scores.size} above 1, median {np.median(scores):.2f}"


def uio66(arguments: argparse.Namespace) -> None:
    training, held_out = deal_out(read(arguments.pristine), 0.25)
    options = FitOptions(quantile=arguments.quantile)
    density = fit_density(
        arguments.model, training, held_out, options,
        lambda name, m: print(f"{name}: {m.components} Gaussians in {m.dimensions} dimensions"),
    )  # fmt: skip
    source = FileFeatures(arguments.model)
    test, defect = read([arguments.test]), read([arguments.defect])
    scores = table(density, source, test)
    symbols = np.array(test[0].get_chemical_symbols())
    print(
        f"fitted to {len(training)} frames, {len(held_out)} held out, quantile {options.quantile}"
    )
    print(f"pristine, other dynamics: {share(scores)}")
    for element in np.unique(symbols):
        print(f"  {element}: {share(scores[:, symbols == element])}")
    scores = table(density, source, defect)
    symbols, which = np.array(defect[0].get_chemical_symbols()), formates(defect[0])
    others = np.setdiff1d(np.arange(len(symbols)), which)
    print(f"formates ({len(which)} atoms): {share(scores[:, which])}")
    for element in np.unique(symbols[which]):
        print(f"  {element}: {share(scores[:, which[symbols[which] == element]])}")
    print(f"other atoms of the crystal with formates: {share(scores[:, others])}")


def zif4(arguments: argparse.Namespace) -> None:
    model = find_model(arguments.model)
    frames = read_npz(arguments.labelled)[:: arguments.every]
    hot = np.array([frame.info["temperature_K"] for frame in frames])
    cool = [frame for frame, each in zip(frames, hot, strict=True) if each <= np.median(hot)]
    rest = [frame for frame, each in zip(frames, hot, strict=True) if each > np.median(hot)]
    training, held_out = deal_out(cool, 0.25)
    density = fit_density(model, training, held_out, FitOptions(quantile=0.99))
    source = FileFeatures(model)
    chosen = [*held_out, *rest]
    scores = table(density, source, chosen)
    errors = np.array([
        np.linalg.norm(found.forces_eV_per_A - labels_of(frame).forces_eV_per_A, axis=1)
        for found, frame in zip(predict(model, chosen), chosen, strict=True)
    ])  # fmt: skip
    print(f"{len(training)} frames to {np.median(hot):.0f} K fitted, {len(chosen)} scored")
    print(f"all atoms: rank correlation {spearmanr(scores.ravel(), errors.ravel()).statistic:.2f}")
    for element in sorted(set(chosen[0].symbols)):
        mine = np.array([np.array(frame.get_chemical_symbols()) == element for frame in chosen])
        print(f"  {element}: {spearmanr(scores[mine], errors[mine]).statistic:.2f}")
    means = spearmanr(scores.mean(axis=1), errors.mean(axis=1)).statistic
    print(f"means of frames: {means:.2f}")
    for low, high in ((-np.inf, 0.0), (0.0, 1.0), (1.0, 3.0), (3.0, np.inf)):
        here = (scores > low) & (scores <= high)
        if here.any():
            print(
                f"  score {low} to {high}: "
                f"{1e3 * errors[here].mean():.0f} meV/Å, {here.sum()} atoms"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("uio66")
    one.add_argument("--model", type=Path, required=True)
    one.add_argument("--pristine", type=Path, nargs="+", required=True)
    one.add_argument("--test", type=Path, required=True)
    one.add_argument("--defect", type=Path, required=True)
    one.add_argument("--quantile", type=float, default=0.999)
    one.set_defaults(run=uio66)
    two = commands.add_parser("zif4")
    two.add_argument("--labelled", type=Path, required=True)
    two.add_argument("--model", default="zif4-nequip-s")
    two.add_argument("--every", type=int, default=1)
    two.set_defaults(run=zif4)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
