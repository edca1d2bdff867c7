"""Every CIF of the reference data, read as gemmi expands it, or refused for what is wrong in it."""

from __future__ import annotations

import warnings
from pathlib import Path

import gemmi
import pytest

from mofmd.errors import InputError, InputWarning
from mofmd.reading.read import read_structure
from mofmd.topology.check import check_structure
from tests.reference import reference_path

# a hydrogen of a methyl group lies within its carbon, in this file of the publication
REFUSED = {"UiO66ZrCH3.cif": "sites C3 and H37 are 0.52 Å apart"}
# a name stands in a line that breaks the rules of the format: gemmi refuses the file
BROKEN_LINES = ("IRMOF-14.cif",)


def small_structure(path: Path) -> gemmi.SmallStructure:
    """Give gemmi's own reading; it passes over sites without a label, as CRYSTAL writes them."""
    block = gemmi.cif.read(str(path)).sole_block()
    found = gemmi.make_small_structure_from_block(block)
    if not found.sites:
        tags = ["type_symbol", "fract_x", "fract_y", "fract_z"]
        for symbol, *fractions in block.find("_atom_site_", tags):
            site = gemmi.SmallStructure.Site()
            site.label = symbol
            site.element = gemmi.Element(symbol)
            site.fract = gemmi.Fractional(*map(gemmi.cif.as_number, fractions))
            found.add_site(site)
        found.setup_cell_images()
    return found


@pytest.mark.parametrize("folder", ["mofs", "mofsimbench"])
def test_reference_files_are_read_as_gemmi_expands_them(folder: str) -> None:
    paths = sorted(reference_path(folder).rglob("*.cif"))
    assert len(paths) > 100
    for path in paths:
        if message := REFUSED.get(path.name):
            with pytest.raises(InputError, match=message):
                read_structure(path)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            atoms = read_structure(path)
        if path.name in BROKEN_LINES:
            continue
        expected = small_structure(path)
        assert sorted(atoms.get_chemical_symbols()) == sorted(
            site.element.name for site in expected.get_all_unit_cell_sites()
        ), path
        assert atoms.cell.volume == pytest.approx(expected.cell.volume, rel=1e-9), path


def test_a_line_of_the_reference_files_that_breaks_the_rules() -> None:
    path = reference_path("mofs/curated127/IRMOF-14.cif")
    with pytest.warns(InputWarning, match="line 7: _citation_author_name is left out"):
        atoms = read_structure(path)
    # eight of Zn4O(pyrenedicarboxylate)3
    assert atoms.get_chemical_formula("hill") == "C432H192O104Zn32"


@pytest.mark.parametrize(
    ("name", "nodes", "formula"),
    [
        # Zr6O4(OH)4 with 12, 10 or 8 halves of C8H4O4, and a formate for each that is missing
        ("UiO66_z12", 4, {"C": 48, "H": 28, "O": 32, "Zr": 6}),
        ("UiO66_formate_z10", 2, {"C": 42, "H": 26, "O": 32, "Zr": 6}),
        ("UiO66_formate_reo", 3, {"C": 36, "H": 24, "O": 32, "Zr": 6}),
    ],
)
def test_bare_files_of_crystal(name: str, nodes: int, formula: dict[str, int]) -> None:
    """Asymmetric units without labels, symbols in capitals, negative fractions."""
    atoms = read_structure(reference_path(f"mofs/uio66_thornton2016/{name}.cif"))
    assert atoms.symbols.formula.count() == {key: nodes * n for key, n in formula.items()}
    assert check_structure(atoms) == []
