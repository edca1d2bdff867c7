"""Frames with stretched, compressed and bent C-H bonds and kicked ring atoms, for labelling.

Hot dynamics reaches the tails of the covalent bonds, of which short training runs hold little:
one frame of this kind shows the model dozens of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from matscipy.neighbours import neighbour_list

CH_BOND = 1.4  # longest C-H bond of the starting frames, angstrom


def perturb(
    atoms: Atoms, rng: np.random.Generator, share: float, longest: float, kick: float
) -> Atoms:
    """Return a copy with a share of the atoms kicked and of the C-H bonds set to new lengths.

    Parameters
    ----------
    atoms : Atoms
        Frame with intact linkers.
    rng : numpy.random.Generator
        Source of all random numbers.
    share : float
        Share of the atoms to kick, and of the C-H bonds to change.
    longest : float
        New lengths are uniform between 0.9 and this (angstrom).
    kick : float
        Standard deviation of a kicked atom's displacement along each axis (angstrom).
    """
    out = atoms.copy()
    symbols = np.array(out.get_chemical_symbols())
    carbon, hydrogen, vectors = neighbour_list("ijD", out, CH_BOND)
    bonds = np.flatnonzero((symbols[carbon] == "C") & (symbols[hydrogen] == "H"))
    kicked = rng.random(len(out)) < share
    out.positions[kicked] += rng.normal(0.0, kick, (kicked.sum(), 3))
    for bond in bonds[rng.random(len(bonds)) < share]:
        direction = vectors[bond] / np.linalg.norm(vectors[bond]) + rng.normal(0.0, 0.15, 3)
        direction *= rng.uniform(0.9, longest) / np.linalg.norm(direction)
        out.positions[hydrogen[bond]] += direction - vectors[bond]
    return out


def main() -> None:
    """Perturb each frame of the input files once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path, nargs="+", help="any files ASE reads")
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--longest", type=float, default=1.8, help="C-H length, angstrom")
    parser.add_argument("--kick", type=float, default=0.15, help="angstrom")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="extxyz to write")
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    frames = [atoms for path in args.frames for atoms in read(path, index=":")]
    write(args.out, [perturb(a, rng, args.share, args.longest, args.kick) for a in frames])


if __name__ == "__main__":
    main()
