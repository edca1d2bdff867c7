"""Other people's programs on the same structures."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols

from mofmd.analysis.pores.pores import find_pores
from mofmd.analysis.pores.radii import RADII_A
from mofmd.analysis.structure.rings import primitive_rings
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.topology.building_units import find_net, find_units
from tests.analysis.test_rings import load


@pytest.mark.parametrize("name", ["crystal", "glass01", "glass04"])
def test_primitive_rings_are_those_of_matscipy(name):
    ffi = pytest.importorskip("matscipy.ffi")
    frame = load(name)
    net = find_net(find_units(frame, metal_cutoffs_A={("Zn", "N"): 2.5}))
    # its distances are those of the finite graph: wide enough that no ring meets itself
    n, repeats = net.n_nodes + net.n_linkers, 3
    ends, vectors = [], []
    site = np.random.default_rng(0).random((n, 3))
    cells = np.stack(np.unravel_index(np.arange(repeats**3), (repeats,) * 3), axis=1)
    for (u, v), image in zip(net.edges, net.images, strict=True):
        step = site[v] + image - site[u]
        for k, cell in enumerate(cells):
            other = np.ravel_multi_index(tuple((cell + image) % repeats), (repeats,) * 3)
            ends += [(k * n + u, other * n + v), (other * n + v, k * n + u)]
            vectors += [step, -step]
    order = np.argsort([first for first, _ in ends], kind="stable")
    first, second = np.array(ends, dtype=np.int32)[order].T.copy()
    vectors = np.array(vectors)[order]
    distances = ffi.distances_on_graph(first, second)
    counts = ffi.find_sp_rings(first, second, vectors, distances, 26)
    found = primitive_rings(net, depth=24).as_dict()
    per_cell = {size: n / repeats**3 for size, n in enumerate(counts) if n and size <= 24}
    assert per_cell == found


def zeo(atoms: Atoms, radius_A: float, directory: Path) -> tuple[object, Path]:
    """Network of Zeo++ with one radius for all atoms: its Voronoi cells are exact then."""
    extension = pytest.importorskip("pyzeo.extension")
    cell = "".join(
        f"v{name}= {x} {y} {z}\n" for name, (x, y, z) in zip("abc", atoms.cell[:], strict=True)
    )
    lines = "".join(
        f"{symbol} {x} {y} {z}\n"
        for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    )
    path = directory / "a.v1"
    path.write_text(f"Unit cell vectors:\n{cell}{len(atoms)}\n{lines}")
    radii = directory / "a.rad"
    radii.write_text("".join(f"{symbol} {radius_A}\n" for symbol in sorted(set(atoms.symbols))))
    network = extension.AtomNetwork.read_from_V1(str(path), rad_flag=True, rad_file=str(radii))
    return network, directory / "a.res"


def test_radii_of_all_elements_are_those_of_zeo():
    extension = pytest.importorskip("pyzeo.extension")
    extension.initializeRadTable()
    known = chemical_symbols[1 : chemical_symbols.index("Ds") + 1]  # it ends the program at Rg
    assert {name: RADII_A[name] for name in known} == {
        name: pytest.approx(extension.lookupRadius(name.encode())) for name in known
    }
    assert (RADII_A["Ce"], RADII_A["Sr"], RADII_A["Sn"]) == (2.0, 2.0, 2.17)


@pytest.mark.parametrize("name", ["crystal", "glass02", "gas"])
def test_spheres_that_fit_and_pass_are_those_of_zeo(name, tmp_path):
    if name == "gas":
        rng = np.random.default_rng(2)
        atoms = Atoms("Ar40", rng.uniform(0, 12, (40, 3)), cell=[12, 12, 12], pbc=True)
    else:
        atoms = load(name).to_ase() if name != "crystal" else zif4()
    atoms.wrap()
    network, output = zeo(atoms, 1.3, tmp_path)
    network.calculate_free_sphere_parameters(str(output))
    largest, limiting, on_way = (float(word) for word in output.read_text().split()[1:4])
    radii = dict.fromkeys(atoms.symbols, 1.3)
    found = find_pores(Frame.from_ase(atoms), 0.5, 0.2, radii, surface=False)
    assert found.largest_cavity_A == pytest.approx(largest, abs=2e-3)
    assert found.limiting_A == pytest.approx(limiting, abs=0.03)
    assert found.largest_on_way_A == pytest.approx(on_way, abs=2e-3)
