"""Trajectories made in memory."""

import numpy as np
from ase import Atoms

from mofmd.trajectory.in_memory import Trajectory


def trajectory_of(*frames: Atoms) -> Trajectory:
    return Trajectory(
        species=tuple(frames[0].symbols),
        timesteps=np.arange(len(frames)) * 10,
        positions=np.array([atoms.positions for atoms in frames]),
        cells=np.array([atoms.cell[:] for atoms in frames]),
    )
