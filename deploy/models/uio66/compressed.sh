#!/bin/bash
# Paths of relaxations in compressed cells by the teacher: crel-*/trajectory.extxyz, labelled.
set -euo pipefail
python - <<'E'
import ase.io
for name, volume in (("pr", 2308.9), ("ld_p", 2308.9), ("hf6_p", 2256.5)):
    atoms = ase.io.read(f"{name}.extxyz")
    for number, ratio in enumerate((0.93, 0.95, 0.965, 0.98)):
        moved = atoms.copy()
        moved.set_cell(atoms.cell * (volume * ratio / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
        moved.rattle(0.05, seed=number + 10)
        ase.io.write(f"comp-{name}-{number}.extxyz", moved)
E
for name in pr ld_p hf6_p; do
  for number in 0 1 2 3; do
    mofmd relax "comp-$name-$number.extxyz" --model sevennet-0 --dtype file --cell fixed --fmax 5e-3 -o "crel-$name-$number"
  done
done
