"""Frames with distorted linkers and close contacts, for labelling.

Hot dynamics reaches the tails of the covalent bonds and of the H-H repulsion, of which short
training runs hold little: one frame of this kind shows the model dozens of such places.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from matscipy.neighbours import neighbour_list

CH_BOND = 1.4  # longest C-H bond of the starting frames, angstrom
RING_BOND = 1.75
CONTACT = 2.6  # H atoms of different C within this distance may be pushed together


def pairs(
    atoms: Atoms, kinds: tuple[str, ...], shortest: float, longest: float
) -> list[tuple[int, int, np.ndarray]]:
    """Return atoms i, j and vector i to j of all pairs of the kinds ("CH": i is C, j is H)."""
    symbols = np.array(atoms.get_chemical_symbols())
    first, second, vectors = neighbour_list("ijD", atoms, longest)
    length = np.linalg.norm(vectors, axis=1)
    kind = np.char.add(symbols[first], symbols[second])
    keep = np.flatnonzero(np.isin(kind, kinds) & (length > shortest))
    return [(int(first[k]), int(second[k]), vectors[k]) for k in keep]


def perturb(atoms: Atoms, rng: np.random.Generator, args: argparse.Namespace) -> Atoms:
    """Return a distorted copy of a frame with intact linkers; `args` are the options below."""
    out = atoms.copy()
    bonds = pairs(atoms, ("CH",), 0.0, CH_BOND)
    hydrogen_of = {carbon: hydrogen for carbon, hydrogen, _ in bonds}
    kicked = rng.random(len(out)) < args.kick_share
    out.positions[kicked] += rng.normal(0.0, args.kick, (kicked.sum(), 3))
    used: set[int] = set()
    for carbon, hydrogen, vector in bonds:
        if rng.random() < args.ch_share:
            direction = vector / np.linalg.norm(vector) + rng.normal(0.0, 0.15, 3)
            direction *= rng.uniform(0.9, args.ch_longest) / np.linalg.norm(direction)
            out.positions[hydrogen] += direction - vector
            used |= {carbon, hydrogen}
    for i, j, vector in pairs(atoms, ("CN", "CC"), 0.0, RING_BOND):
        if not used & {i, j} and rng.random() < args.ring_share:
            length = np.linalg.norm(vector)
            shift = 0.5 * (rng.uniform(1.2, args.ring_longest) / length - 1.0) * vector
            for atom, move in ((i, -shift), (j, shift)):
                out.positions[atom] += move
                if atom in hydrogen_of:
                    out.positions[hydrogen_of[atom]] += move
                    used.add(hydrogen_of[atom])
            used |= {i, j}
    for i, j, vector in pairs(atoms, ("HH",), 0.0, CONTACT):
        if not used & {i, j} and rng.random() < args.contact_share:
            shift = 0.5 * (rng.uniform(1.0, 1.6) / np.linalg.norm(vector) - 1.0) * vector
            out.positions[i] -= shift
            out.positions[j] += shift
            used |= {i, j}
    return out


def main() -> None:
    """Perturb each frame of the input files once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path, nargs="+", help="any files ASE reads")
    parser.add_argument("--kick-share", type=float, default=0.0, help="share of atoms to kick")
    parser.add_argument(
        "--kick", type=float, default=0.12, help="deviation along an axis, angstrom"
    )
    parser.add_argument("--ch-share", type=float, default=0.0, help="share of C-H bonds to reset")
    parser.add_argument("--ch-longest", type=float, default=1.8, help="angstrom")
    parser.add_argument("--ring-share", type=float, default=0.0, help="share of ring bonds")
    parser.add_argument("--ring-longest", type=float, default=2.2, help="angstrom")
    parser.add_argument("--contact-share", type=float, default=0.0, help="share of H-H contacts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="extxyz to write")
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    frames = [atoms for path in args.frames for atoms in read(path, index=":")]
    write(args.out, [perturb(atoms, rng, args) for atoms in frames])


if __name__ == "__main__":
    main()
