"""Force matching: whether the atoms of a cluster feel what they feel in the framework.

The forces on atoms of a cluster are held against those on the same atoms in the frame that it was
cut out of, both by one reference method (Dobbelaere et al., Chem. Mater. 2025,
doi:10.1021/acs.chemmater.5c00821, section 2.1.1 and Fig. 5). The smallest cluster whose core agrees
is the one to label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms

from mofmd.builders.blocks.blocks import Blocks
from mofmd.errors import InputError
from mofmd.learning.clusters.blueprints import Blueprints
from mofmd.learning.clusters.clusters import Cluster, ClusterCutter, CutOptions, Refusal
from mofmd.learning.clusters.roles import Role
from mofmd.learning.data.dataset import labels_of
from mofmd.learning.evaluate.metrics import EV_TO_MEV
from mofmd.trajectory.frame import Frame

LabelAll = Callable[[Sequence[Atoms]], Sequence[Atoms]]
DEPTH_STEP_A = 2.0


class Flagged(NamedTuple):
    """A frame of which parts are to be cut out.

    Parameters
    ----------
    frame
        Periodic frame.
    blocks
        Its blocks.
    atoms
        Indices of atoms whose blocks are the cores.
    """

    frame: Atoms
    blocks: Blocks
    atoms: np.ndarray


@dataclass(frozen=True)
class Matched:
    """A cluster and how its forces differ from the framework's; arrays are read-only.

    Parameters
    ----------
    frame
        Number of the frame that it was cut out of.
    shells
        Shells of blocks around its core.
    cluster
        The cluster.
    differences
        (atoms, 3) force in the cluster minus force in the frame [meV/Å]; NaN of caps, which the
        frame does not have.
    """

    frame: int
    shells: int
    cluster: Cluster
    differences: np.ndarray

    def __post_init__(self) -> None:
        """Make the array read-only."""
        self.differences.setflags(write=False)

    @property
    def depths(self) -> np.ndarray:
        """(atoms,) distance of each atom to the nearest cap [Å]; infinite without caps."""
        positions = self.cluster.atoms.positions
        caps = positions[self.cluster.roles == Role.CAP]
        if not len(caps):
            return np.full(len(positions), np.inf)
        vectors = positions[:, None, :] - caps[None, :, :]
        return np.asarray(np.sqrt(np.square(vectors).sum(axis=2)).min(axis=1))

    def to_ase(self) -> Atoms:
        """Molecule with the column ``difference``: size of each difference [meV/Å]."""
        molecule = self.cluster.to_ase()
        molecule.set_array("difference", np.linalg.norm(self.differences, axis=1))
        molecule.info.update(frame=self.frame, shells=self.shells)
        return molecule


@dataclass(frozen=True)
class Agreement:
    """How well clusters of one kind agree with the framework.

    Parameters
    ----------
    signature
        Kind of the core.
    shells
        Shells of blocks around it.
    clusters, atoms
        How many were compared, and atoms of the largest.
    core, mantle
        Root mean square difference of the force components on atoms of the core, and of the mantle
        (NaN where there is none) [meV/Å].
    worst
        The same of the atom of the core that agrees least, over all clusters [meV/Å].
    elements
        The same of the core by element [meV/Å].
    """

    signature: str
    shells: int
    clusters: int
    atoms: int
    core: float
    mantle: float
    worst: float
    elements: dict[str, float]


def match_forces(
    flagged: Sequence[Flagged],
    shells: Sequence[int],
    label: LabelAll,
    options: CutOptions | None = None,
) -> tuple[list[Matched], list[Refusal]]:
    """Compare forces in clusters of growing size with those in the frames.

    Parameters
    ----------
    flagged
        Frames with their flagged atoms.
    shells
        Candidates: shells of blocks around the cores.
    label
        Gives frames and molecules with labels, in order.
    options
        What clusters shall be.

    Returns
    -------
    matched, refusals
        All clusters of all candidates, and the cores that could not be cut out.

    Raises
    ------
    InputError
        If nothing is left to compare.
    """
    if not shells:
        raise InputError("shells: none; name candidates (--shells 0 --shells 1)")
    cut: list[tuple[int, int, Cluster]] = []
    refusals: list[Refusal] = []
    for count in sorted(set(shells)):
        for k, (frame, own, atoms) in enumerate(flagged):
            cutter = ClusterCutter(own, options, Blueprints(count))
            found, refused = cutter.cut(Frame.from_ase(frame, step=k), atoms)
            cut += [(k, count, cluster) for cluster in found]
            refusals += refused
    if not cut:
        reason = f": {refusals[0].reason}" if refusals else ""
        raise InputError(f"no cluster could be cut out{reason}")
    bulk = [labels_of(frame).forces_eV_per_A for frame in label([each.frame for each in flagged])]
    molecules = [cluster.to_ase() for _, _, cluster in cut]
    inside = [labels_of(molecule).forces_eV_per_A for molecule in label(molecules)]
    matched = []
    for (k, count, cluster), forces in zip(cut, inside, strict=True):
        differences = np.full(forces.shape, np.nan)
        real = cluster.origins >= 0
        differences[real] = EV_TO_MEV * (forces[real] - bulk[k][cluster.origins[real]])
        matched.append(Matched(k, count, cluster, differences))
    return matched, refusals


def agreements(matched: Sequence[Matched]) -> list[Agreement]:
    """Sum up the differences of clusters of one kind and size, smaller ones first."""
    kinds: dict[tuple[str, int], list[Matched]] = {}
    for each in matched:
        kinds.setdefault((each.cluster.signature, each.shells), []).append(each)
    return [_agreement(*key, found) for key, found in sorted(kinds.items())]


def by_depth(matched: Sequence[Matched]) -> list[tuple[float, float, int]]:
    """Sum up differences by the distance to the nearest cap.

    Parameters
    ----------
    matched
        Clusters.

    Returns
    -------
    list of (depth, rmse, atoms)
        Middle of each bin of 2 Å [Å], root mean square difference of the components [meV/Å], and
        the number of atoms; empty bins are left out.
    """
    depths = np.concatenate([each.depths for each in matched])
    differences = np.concatenate([each.differences for each in matched])
    real = np.isfinite(differences).all(axis=1) & np.isfinite(depths)
    bins = np.floor(depths[real] / DEPTH_STEP_A).astype(int)
    return [
        (DEPTH_STEP_A * (k + 0.5), rms(differences[real][bins == k]), int((bins == k).sum()))
        for k in np.unique(bins).tolist()
    ]


def choose_shells(found: Sequence[Agreement], tolerance: float) -> dict[str, int]:
    """Find for each kind of core the fewest shells whose core agrees to a tolerance [meV/Å].

    Kinds that never do are left out.
    """
    chosen: dict[str, int] = {}
    for each in sorted(found, key=lambda agreement: agreement.shells):
        if each.core <= tolerance:
            chosen.setdefault(each.signature, each.shells)
    return chosen


def rms(differences: np.ndarray) -> float:
    """Root mean square of components; NaN of none."""
    return float(np.sqrt(np.square(differences).mean())) if differences.size else float("nan")


def _agreement(signature: str, shells: int, found: Sequence[Matched]) -> Agreement:
    roles = np.concatenate([each.cluster.roles for each in found])
    symbols = np.concatenate(
        [np.array(each.cluster.atoms.get_chemical_symbols()) for each in found]
    )
    differences = np.concatenate([each.differences for each in found])
    core = roles == Role.CORE
    per_atom = np.sqrt(np.square(differences[core]).mean(axis=1))
    return Agreement(
        signature=signature,
        shells=shells,
        clusters=len(found),
        atoms=max(len(each.cluster.atoms) for each in found),
        core=rms(differences[core]),
        mantle=rms(differences[roles == Role.MANTLE]),
        worst=float(per_atom.max()),
        elements={
            str(element): rms(differences[core & (symbols == element)])
            for element in np.unique(symbols[core])
        },
    )
