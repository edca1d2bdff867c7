"""Clusters: a core, its mantle and hydrogen where bonds were cut, as a neutral molecule."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.builders.blocks.blocks import BRICK, GUEST, Blocks
from mofmd.builders.blocks.caps import cut_vectors
from mofmd.builders.blocks.charges import block_charges, electrons
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.errors import InputError
from mofmd.learning.clusters.blueprints import Blueprints
from mofmd.learning.clusters.environments import (
    HOME,
    Image,
    Key,
    Surroundings,
    core_blocks,
    signature,
)
from mofmd.learning.clusters.roles import Role
from mofmd.trajectory.frame import Frame

CARBON_HYDROGEN_A = 1.087  # C-H of the aromatic rings of UiO-66, relaxed by DFT (see builders.caps)
LARGEST = 220  # atoms; the first shell around a brick of UiO-66 makes 186


@dataclass(frozen=True)
class CutOptions:
    """What clusters shall be.

    Parameters
    ----------
    largest
        Most atoms of a cluster.
    allow_images
        Let a cluster hold an atom in several images, as clusters of small cells do.
    charges
        Charges of ions that have several, by element or formula.
    """

    largest: int = LARGEST
    allow_images: bool = False
    charges: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Cluster:
    """A molecule cut out of a framework; arrays are read-only.

    Parameters
    ----------
    atoms
        Not periodic, atoms where they are in the framework: core, mantle, caps.
    roles
        (atoms,) role of each atom.
    origins
        (atoms,) index of each atom in the frame, −1 for caps.
    images
        (atoms, 3) image of the frame's atom; for a cap that of the atom it is bonded to.
    flagged
        (atoms,) whether an atom was flagged.
    core
        Block that is the core.
    signature
        Kind of the core.
    """

    atoms: Atoms
    roles: np.ndarray
    origins: np.ndarray
    images: np.ndarray
    flagged: np.ndarray
    core: int
    signature: str

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.roles, self.origins, self.images, self.flagged):
            array.setflags(write=False)

    def to_ase(self) -> Atoms:
        """Molecule with columns ``role``, ``frame_atom``, ``image``, ``flagged``, and its kind."""
        atoms = self.atoms.copy()
        atoms.set_array("role", self.roles)
        atoms.set_array("frame_atom", self.origins)
        atoms.set_array("image", self.images)
        atoms.set_array("flagged", self.flagged)
        atoms.info.update(cluster=self.signature, core=self.core, charge=0, multiplicity=1)
        return atoms


@dataclass(frozen=True)
class Refusal:
    """A core that was not cut out, and why."""

    core: int
    signature: str
    reason: str


class ClusterCutter:
    """Cuts clusters out of frames of one framework.

    Parameters
    ----------
    reference
        Blocks of the framework, found in its crystal or relaxed structure: which atoms are bonded
        in hot frames is theirs to say.
    options
        What clusters shall be.
    blueprints
        How far each kind of cluster reaches.

    Raises
    ------
    InputError
        If an ion's charge is not known.
    """

    def __init__(
        self,
        reference: Blocks,
        options: CutOptions | None = None,
        blueprints: Blueprints | None = None,
    ) -> None:
        self.reference = reference
        self.options = options or CutOptions()
        self.blueprints = blueprints or Blueprints()
        self.charges = block_charges(reference, self.options.charges)

    def cut(self, frame: Frame, flagged: np.ndarray) -> tuple[list[Cluster], list[Refusal]]:
        """Cut out the surroundings of flagged atoms, a cluster for each block that holds some.

        Parameters
        ----------
        frame
            Atoms of the reference, moved.
        flagged
            Indices of atoms.

        Returns
        -------
        clusters, refusals
            Each core is in one of them.

        Raises
        ------
        InputError
            If the frame is of other atoms, or there is no such atom.
        """
        blocks = self.reference.on(frame)
        cores = core_blocks(blocks, flagged)
        cutting = _Cutting(self, blocks, frame, flagged)
        clusters: list[Cluster] = []
        refusals: list[Refusal] = []
        for core in cores:
            name = signature(blocks, cutting.surroundings, core)
            try:
                cluster = cutting.cluster(core, name)
            except InputError as error:
                refusals.append(Refusal(core, name, str(error)))
            else:
                self.blueprints.used(name, len(cluster.atoms))
                clusters.append(cluster)
        return clusters, refusals


def write_clusters(path: Path, molecules: Sequence[Atoms]) -> None:
    """Write molecules of ``Cluster.to_ase`` as extended XYZ, with their columns: all or nothing."""
    from ase.io import write

    if path.suffix not in (".extxyz", ".xyz"):
        raise InputError(f"{path}: clusters are written as extended XYZ; name it so (.extxyz)")
    buffer = io.StringIO()
    write(buffer, molecules, format="extxyz")
    make_folder(path.parent)
    write_atomic(path, buffer.getvalue())


class _Cutting:
    """Clusters of one frame."""

    def __init__(
        self, cutter: ClusterCutter, blocks: Blocks, frame: Frame, flagged: np.ndarray
    ) -> None:
        self.cutter, self.blocks, self.frame = cutter, blocks, frame
        self.surroundings = Surroundings.of(self.blocks)
        self.is_flagged = np.zeros(len(frame), dtype=np.bool_)
        self.is_flagged[flagged] = True

    def cluster(self, core: int, name: str) -> Cluster:
        """Cut out one block with its mantle."""
        blocks = self.blocks
        if blocks.kinds[core] == GUEST:
            raise InputError(
                f"{blocks.formula(core)} is a guest: nothing is bonded to it that a cluster could "
                "be cut along"
            )
        keys = self.surroundings.grow([(core, HOME)], self.cutter.blueprints.shells_for(name))
        members = [blocks.members(block) for block, _ in keys]
        inside = np.concatenate(members)
        sizes = [len(atoms) for atoms in members]
        images = np.repeat([image for _, image in keys], sizes, axis=0) + blocks.images[inside]
        cuts, at_brick, cap_images = self._open_cuts(keys)
        self._check_size(len(inside) + len(cuts))
        self._check_images(inside, images)
        self._check_charge(keys, np.append(blocks.symbols[inside], ["H"] * len(cuts)))
        ends = np.where(at_brick, blocks.cuts.heads[cuts], blocks.cuts.anchors[cuts])
        cap_images = cap_images + blocks.images[ends]
        positions = self._at(inside, images)
        caps = self._at(ends, cap_images) + self._hydrogen(cuts, at_brick)
        n_core, n_caps = sizes[0], len(cuts)
        return Cluster(
            atoms=Atoms(
                [*blocks.symbols[inside], *["H"] * n_caps],
                positions=np.concatenate([positions, caps]),
                pbc=False,
            ),
            roles=np.repeat(
                [Role.CORE.value, Role.MANTLE.value, Role.CAP.value],
                [n_core, len(inside) - n_core, n_caps],
            ),
            origins=np.append(inside, np.full(n_caps, -1)),
            images=np.concatenate([images, cap_images]),
            flagged=np.append(self.is_flagged[inside], np.zeros(n_caps, dtype=np.bool_)),
            core=core,
            signature=name,
        )

    def _at(self, atoms: np.ndarray, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.frame.positions[atoms] + images @ self.frame.cell)

    def _open_cuts(self, keys: Mapping[Key, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cuts with one side inside: which, whether that is the brick's, and its block's image."""
        found: list[tuple[int, bool, Image]] = []
        for key in keys:
            is_brick = bool(self.blocks.kinds[key[0]] == BRICK)
            found += [
                (cut, is_brick, key[1])
                for other, cut in self.surroundings.around(key)
                if other not in keys
            ]
        cuts = np.array([cut for cut, _, _ in found], dtype=np.int64)
        at_brick = np.array([is_brick for _, is_brick, _ in found], dtype=np.bool_)
        images = np.array([image for _, _, image in found], dtype=np.int64)
        return cuts, at_brick, images.reshape(-1, 3)

    def _hydrogen(self, cuts: np.ndarray, at_brick: np.ndarray) -> np.ndarray:
        """(cuts, 3) from the atom that stays to the hydrogen in place of the other [Å]."""
        blocks = self.blocks
        along = cut_vectors(blocks, cuts, self.frame.positions, self.frame.cell)
        along /= np.linalg.norm(along, axis=1)[:, None]
        at_head = np.array([head.hydrogen_bond_A for head in blocks.head_groups])
        heads = blocks.head_of_atom[blocks.cuts.heads[cuts]]
        lengths = np.where(at_brick, at_head[heads], -CARBON_HYDROGEN_A)
        return np.asarray(lengths[:, None] * along)

    def _check_size(self, n_atoms: int) -> None:
        if n_atoms > (largest := self.cutter.options.largest):
            raise InputError(
                f"the cluster would have {n_atoms} atoms, more than the largest allowed "
                f"({largest}); allow it (--largest {n_atoms}) or take fewer shells (--shells)"
            )

    def _check_images(self, inside: np.ndarray, images: np.ndarray) -> None:
        """Refuse an atom that would be there twice."""
        found, counts = np.unique(inside, return_counts=True)
        if counts.max() == 1 or self.cutter.options.allow_images:
            return
        atom = int(found[np.argmax(counts > 1)])
        one, two = images[inside == atom][:2].tolist()
        raise InputError(
            f"atom {atom + 1} would be in the cluster twice, in the images {one} and {two}: the "
            "cell is too small for it. Cut from a supercell, take fewer shells (--shells), or "
            "allow images (--allow-images)"
        )

    def _check_charge(self, keys: Sequence[Key] | Mapping[Key, int], symbols: np.ndarray) -> None:
        """Refuse what is no neutral molecule with paired electrons."""
        charges = {key[0]: int(self.cutter.charges[key[0]]) for key in keys}
        if total := sum(int(self.cutter.charges[block]) for block, _ in keys):
            block = max(charges, key=lambda each: abs(charges[each]))
            raise InputError(
                f"the cluster would have the charge {total:+d}: {self.blocks.formula(block)} has "
                f"{charges[block]:+d} by its ions. Is a hydrogen atom missing (μ3-OH, H2O) or one "
                "too many, or is the framework itself charged?"
            )
        if electrons(symbols) % 2:
            raise InputError(
                "the cluster would have an odd number of electrons: is a hydrogen atom missing or "
                "one too many?"
            )
