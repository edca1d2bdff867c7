"""Steinhardt's bond-orientational order of the net of nodes.

``q_l(i) = (4π/(2l+1) Σ_m |q_lm(i)|²)^½``, q_lm(i) the mean of Y_lm over the directions to the
nodes that linkers join to node i (Steinhardt et al., Phys. Rev. B 1983, 28, 784); averaged over a
node and those it is joined to, q̄_l (Lechner and Dellago, J. Chem. Phys. 2008, 129, 114707).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import numbers_by_pair, whole_numbers
from mofmd.analysis.structure.freud_system import one_thread
from mofmd.errors import InputError
from mofmd.topology.building_units import Cutoffs, find_units
from mofmd.topology.metal_donors import CUTOFFS_A, metal_first
from mofmd.topology.node_net import NodeNet, find_node_net
from mofmd.trajectory.frame import Frame

DEGREE_MAX = 12
BIN_WIDTH = 0.02


def bond_order(net: NodeNet, degrees: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Steinhardt's order parameters of each node of a net.

    Parameters
    ----------
    net
        Nodes and what joins them.
    degrees
        Degrees l of the spherical harmonics.

    Returns
    -------
    local, averaged
        (nodes, degrees) q_l, and q̄_l averaged over a node and its neighbours; NaN of nodes that
        nothing is joined to.
    """
    import freud

    n, ways = len(net.centres), len(net.first)
    if not ways:
        nothing = np.full((n, len(degrees)), np.nan)
        return nothing, nothing
    # a point of its own at the end of each way: freud knows one image of a point alone
    ends = net.centres[net.first] + net.vectors
    places = np.concatenate([net.centres, ends]) - net.centres.mean(axis=0)
    box = freud.box.Box.cube(float(4 * np.abs(places).max()))
    joined = freud.locality.NeighborList.from_arrays(
        n + ways, n + ways, net.first, n + np.arange(ways), np.asarray(net.vectors, np.float32)
    )
    with one_thread():
        found = freud.order.Steinhardt(list(degrees)).compute((box, places), neighbors=joined)
    harmonics = found.particle_harmonics
    parts = [harmonics] if len(degrees) == 1 else harmonics
    local, averaged = [], []
    joins = np.bincount(net.first, minlength=n)
    for degree, part in zip(degrees, parts, strict=True):
        own = np.asarray(part[:n], dtype=np.complex128)
        around = own.copy()
        np.add.at(around, net.first, own[net.second])
        norm = np.sqrt(4 * np.pi / (2 * degree + 1))
        local.append(norm * np.linalg.norm(own, axis=1))
        averaged.append(norm * np.linalg.norm(around, axis=1) / (1 + joins))
    return np.stack(local, axis=1), np.stack(averaged, axis=1)


@observable(
    "steinhardt",
    title="Bond-orientational order",
    interval_ps=1.0,
    frames=50,
    options={"degrees": whole_numbers, "metal_cutoffs_A": numbers_by_pair},
    place=84,
)
@dataclass(eq=False)
class Steinhardt(Observable):
    """Bond-orientational order of the net of nodes: q_l and q̄_l, their means and distributions.

    Building units are those of the first frame; bonds between them are found in every frame. Nodes
    that nothing is joined to have no directions and do not count.

    Parameters
    ----------
    degrees
        Degrees l.
    metal_cutoffs_A
        Longest bond of (metal, donor) pairs [Å]; those of ``Rings`` where they are not given.
    interval_ps, cut
        As for every observable.
    """

    degrees: Sequence[int] = (4, 6)
    metal_cutoffs_A: Cutoffs | None = None

    def __post_init__(self) -> None:
        """Refuse degrees that are none; begin with no frame."""
        self.degrees = tuple(self.degrees)
        if not self.degrees or len(set(self.degrees)) < len(self.degrees):
            raise InputError(f"degrees: {self.degrees}, expected different whole numbers")
        if not all(1 <= degree <= DEGREE_MAX for degree in self.degrees):
            raise InputError(f"degrees: {self.degrees}, expected 1 to {DEGREE_MAX}")
        self._edges = np.linspace(0, 1, round(1 / BIN_WIDTH) + 1)
        self._record = Record()
        self._rows: list[np.ndarray] = []
        self._cutoffs: Cutoffs = {**CUTOFFS_A, **metal_first(self.metal_cutoffs_A or {})}

    @property
    def name(self) -> str:
        """Short name for people."""
        return "steinhardt"

    def check(self, frame: Frame) -> None:
        """Find the net; refuse a structure in which no linker joins two nodes."""
        self._units = find_units(frame, metal_cutoffs_A=self._cutoffs)
        if not self._units.n_nodes:
            raise InputError(f"{self.name}: no metal node in the first frame")
        net = find_node_net(self._units, frame, self._cutoffs)
        if not len(net.first):
            raise InputError(f"{self.name}: no linker joins two nodes in the first frame")

    def measure(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Means of q_l, of q̄_l and of ways per node in one array; distributions in another."""
        net = find_node_net(self._units, frame, self._cutoffs)
        local, averaged = bond_order(net, self.degrees)
        both = np.concatenate([local, averaged], axis=1)
        known = both[np.isfinite(both).all(axis=1)]
        if not len(known):
            raise InputError(f"{self.name}: no linker joins two nodes at step {frame.step}")
        rows = [
            np.histogram(np.minimum(column, 1 - 1e-9), bins=self._edges)[0] for column in known.T
        ]
        means = np.append(known.mean(axis=0), len(net.first) / len(net.centres))
        return means, np.array(rows) / (len(known) * BIN_WIDTH)

    def add(self, stamp: Stamp, value: tuple[np.ndarray, np.ndarray]) -> None:
        """Take the measurement of the next frame."""
        means, distributions = value
        # equilibrium is judged by the last of the averaged ones, which tells orders apart best
        self._record.add(stamp, float(means[-2]), distributions)
        self._rows.append(means)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        mean, error = self._record.average.mean(sampling)
        series = np.array(self._rows).T
        names = [f"q{degree}" for degree in self.degrees]
        names += [f"q{degree} averaged" for degree in self.degrees]
        centres = (self._edges[1:] + self._edges[:-1]) / 2
        return Result(
            name=self.name,
            definition="q_l of the directions from node to node along linkers (Steinhardt 1983), "
            "and averaged over a node and its neighbours (Lechner and Dellago 2008); freud "
            "(Ramasubramani et al. 2020); means over the nodes that linkers join",
            settings={
                "degrees": list(self.degrees),
                "metal_cutoffs_A": {"-".join(k): v for k, v in self._cutoffs.items()},
                "nodes": dict(self._units.node_formulas),
            },
            scalars={
                **{
                    name: mean_of_series(values, sampling)
                    for name, values in zip(names, series, strict=False)
                },
                "linked nodes per node": mean_of_series(series[-1], sampling),
            },
            tables={
                "distribution": Table(
                    {
                        "q": Column(centres, label="q"),
                        **{
                            name: Column(mean[k], "", error[k], "Probability density")
                            for k, name in enumerate(names)
                        },
                    },
                    "curve",
                    "Bond-orientational order of the nodes",
                ),
                "series": series_table(
                    self._record.stamps,
                    "Bond-orientational order over time",
                    **{
                        name: Column(values, label="Mean over the nodes")
                        for name, values in zip(names, series, strict=False)
                    },
                ),
            },
            sampling=sampling,
        )
