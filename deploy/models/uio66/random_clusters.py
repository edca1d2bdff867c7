"""Clusters around blocks drawn at random, two frames a run of the loop: random_clusters.extxyz.

Beside those that the density found: the same frames, whatever the atoms' novelty.
"""

import random
import subprocess
from pathlib import Path

import ase.io

from mofmd.trajectory.in_memory import read_dump

ROUNDS, FRAMES, KEPT = (0, 1), 2, 60

generator = random.Random(5)
drawn = []
for run in (p for r in ROUNDS for p in sorted(Path(f"distil/round{r}/runs").iterdir())):
    frames = read_dump(run / "trajectory.dump").to_ase()
    if len(frames) < FRAMES + 2:
        continue  # it broke at once
    for k in sorted(generator.sample(range(1, len(frames)), FRAMES)):
        ase.io.write("frame.extxyz", frames[k])
        subprocess.run(
            ["mofmd", "learn", "cut", "frame.extxyz", "--reference", run / "structure.data",
             "--every-block", "--allow-images", "--largest", "260", "--leave-out-refused",
             "-o", "blocks.extxyz"], check=True,
        )  # fmt: skip
        drawn.append(generator.choice(ase.io.read("blocks.extxyz", ":")))
generator.shuffle(drawn)
ase.io.write("random_clusters.extxyz", drawn[:KEPT])
