"""Molecular dynamics with an exported model: frames for labelling, or a stability run.

The run stops, and says why, when a linker breaks or atoms come abnormally close. Covalent bonds
(C-N, C-C, C-H) are taken from the starting structure.
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from edge_calculator import EdgeCalculator
from matscipy.neighbours import neighbour_list

BOND_LIMITS = {"CN": 1.7, "CC": 1.75, "CH": 1.4}  # what is a covalent bond at the start, angstrom
BROKEN = {"CN": 2.0, "CC": 2.0, "CH": 1.8}
CLOSEST = 0.75  # no two atoms may come closer, angstrom
ZN_N_BOND = 2.6


class LinkerCheck:
    """Watch the covalent bonds that the starting structure has.

    Parameters
    ----------
    atoms : Atoms
        Starting structure.
    """

    def __init__(self, atoms: Atoms) -> None:
        symbols = np.array(atoms.get_chemical_symbols())
        first, second, lengths = neighbour_list("ijd", atoms, max(BOND_LIMITS.values()))
        self.bonds: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for kind, limit in BOND_LIMITS.items():
            keep = (symbols[first] == kind[0]) & (symbols[second] == kind[1]) & (lengths < limit)
            self.bonds[kind] = (first[keep], second[keep])
        self.zinc, self.nitrogen = (np.flatnonzero(symbols == s) for s in ("Zn", "N"))

    def longest(self, atoms: Atoms) -> dict[str, float]:
        """Return the longest bond of each kind (angstrom), minimum image."""
        out = {}
        inverse = np.linalg.inv(atoms.cell.array)
        for kind, (first, second) in self.bonds.items():
            fractional = (atoms.positions[second] - atoms.positions[first]) @ inverse
            vectors = (fractional - np.round(fractional)) @ atoms.cell.array
            out[kind] = float(np.linalg.norm(vectors, axis=1).max())
        return out

    def coordination(self, atoms: Atoms) -> float:
        """Return the mean number of N within 2.6 angstrom of a Zn."""
        centre, neighbour = neighbour_list("ij", atoms, ZN_N_BOND)
        pairs = np.isin(centre, self.zinc) & np.isin(neighbour, self.nitrogen)
        return float(pairs.sum() / len(self.zinc))

    def problem(self, atoms: Atoms) -> str:
        """Return what is wrong with the structure, or an empty string."""
        if not np.isfinite(atoms.positions).all():
            return "positions are not finite"
        for kind, length in self.longest(atoms).items():
            if length > BROKEN[kind]:
                return f"{kind[0]}-{kind[1]} bond of {length:.2f} A"
        if len(neighbour_list("i", atoms, CLOSEST)):
            return f"atoms closer than {CLOSEST} A"
        return ""


class Recorder:
    """Look at the structure every few steps: stop at a break, keep frames, write the log.

    Parameters
    ----------
    atoms : Atoms
        The structure that the dynamics moves.
    check : LinkerCheck
        Its bonds.
    args : argparse.Namespace
        Options of the command line.
    """

    def __init__(self, atoms: Atoms, check: LinkerCheck, args: argparse.Namespace) -> None:
        self.atoms, self.check, self.args = atoms, check, args
        self.frames: list[Atoms] = []
        self.recent: deque[Atoms] = deque(maxlen=args.keep_before_break)
        self.longest = dict.fromkeys(BROKEN, 0.0)
        self.steps = 0
        self.broken = ""
        self.log = args.log.open("w") if args.log else None

    def say(self, line: str) -> None:
        """Write one line to the log."""
        print(line, file=self.log, flush=True)

    def look(self, steps: int) -> bool:
        """Take note of the structure after `steps` more steps; return False if it is broken."""
        atoms, args = self.atoms, self.args
        self.steps += steps
        elapsed = self.steps * args.timestep / 1000
        self.broken = self.check.problem(atoms)
        if self.broken:
            self.frames.extend(self.recent)
            self.say(f"broken at {elapsed:.3f} ps: {self.broken}")
            return False
        for kind, length in self.check.longest(atoms).items():
            self.longest[kind] = max(self.longest[kind], length)
        self.recent.append(atoms.copy())
        if args.save_every and self.steps % args.save_every == 0:
            self.frames.append(atoms.copy())
        if self.steps % args.log_every == 0:
            pressure = -np.mean(atoms.get_stress()[:3]) / units.GPa
            self.say(
                f"{elapsed:8.3f} ps  T {atoms.get_temperature():7.1f} K  "
                f"E_pot {atoms.get_potential_energy():.4f}  "
                f"E_tot {atoms.get_total_energy():.4f} eV  P {pressure:6.2f} GPa  "
                f"Zn-N {self.check.coordination(atoms):.2f}  longest "
                + " ".join(f"{kind} {length:.2f}" for kind, length in self.longest.items())
            )
        return True


def run(args: argparse.Namespace) -> bool:
    """Run all segments; return False if the structure broke."""
    atoms = read(args.structure, format=args.format)
    atoms.set_pbc(True)
    atoms.wrap()
    rng = np.random.default_rng(args.seed)
    recorder = Recorder(atoms, LinkerCheck(atoms), args)
    strain = np.eye(3) * (1 + args.volume_change) ** (1 / 3)
    strain += args.shear * rng.uniform(-1, 1, (3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.calc = EdgeCalculator(args.model)
    segments = [[float(x) for x in segment.split(":")] for segment in args.segment]
    MaxwellBoltzmannDistribution(atoms, temperature_K=segments[0][0], rng=rng)
    Stationary(atoms)
    step = args.timestep * units.fs
    for first, last, duration in segments:
        blocks = round(duration * 1000 / args.timestep / args.check_every)
        thermostat = Langevin(
            atoms, step, temperature_K=first, friction=0.01 / units.fs, fixcm=False, rng=rng
        )
        dynamics = VelocityVerlet(atoms, step) if args.nve else thermostat
        for block in range(blocks):
            thermostat.set_temperature(temperature_K=first + (last - first) * block / blocks)
            dynamics.run(args.check_every)
            if not recorder.look(args.check_every):
                break
        if recorder.broken:
            break
    else:
        recorder.say(f"intact for {recorder.steps * args.timestep / 1000:.3f} ps")
    if args.trajectory:
        write(args.trajectory, recorder.frames)
    return not recorder.broken


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="exported model (.mofmd.pth)")
    parser.add_argument("structure", type=Path)
    parser.add_argument("--format", default=None, help="ASE format of the structure")
    parser.add_argument(
        "--segment", action="append", required=True, metavar="T0:T1:PS", help="linear ramp, repeat"
    )
    parser.add_argument("--volume-change", type=float, default=0.0, help="relative, e.g. -0.05")
    parser.add_argument("--shear", type=float, default=0.0, help="amplitude of a random strain")
    parser.add_argument("--timestep", type=float, default=0.5, help="fs")
    parser.add_argument("--nve", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check-every", type=int, default=10, help="steps")
    parser.add_argument("--log-every", type=int, default=1000, help="steps")
    parser.add_argument("--save-every", type=int, default=0, help="steps; 0 saves none")
    parser.add_argument("--keep-before-break", type=int, default=6, help="last checked frames kept")
    parser.add_argument("--trajectory", type=Path, help="extxyz to write")
    parser.add_argument("--log", type=Path, help="file instead of the terminal")
    raise SystemExit(0 if run(parser.parse_args()) else 1)


if __name__ == "__main__":
    main()
