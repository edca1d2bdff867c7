"""The symmetry operations of a CIF: those it lists, or those of the setting that its symbol names.

A symbol may leave a choice open: the origin (F d -3 m), the axes (R -3 m). All that it may mean is
given then; what else the file says decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from mofmd.errors import InputError
from mofmd.reading.cif.text import CifBlock, plain

OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
SYMBOL = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_ref",
)
NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
CODE = ("_space_group_it_coordinate_system_code",)
WRITE_OPERATIONS = "write the operations (_space_group_symop_operation_xyz)"
METRIC_TOLERANCE = 2e-3  # of a length squared: 0.1 % of a length, 0.1° of an angle
# endings by which databases and programs name settings: ICSD's Z, S and HR, Bilbao's O1, O2
SETTINGS = {"Z": "2", "S": "1", "O1": "1", "O2": "2", "HR": "H", "RS": "R"}


@dataclass(frozen=True)
class Setting:
    """Symmetry operations x' = rotation · x + translation, in fractional coordinates.

    Parameters
    ----------
    name
        For people.
    rotations
        (operations, 3, 3), the identity first.
    translations
        (operations, 3), from 0 to below 1.
    """

    name: str
    rotations: np.ndarray
    translations: np.ndarray

    @classmethod
    def of(cls, name: str, operations: Sequence[gemmi.Op]) -> Setting:
        """Take gemmi's operations, each once."""
        unique = {operation.wrap().triplet(): operation.wrap() for operation in operations}
        ordered = sorted(unique.values(), key=lambda operation: operation.triplet() != "x,y,z")
        return cls(
            name,
            np.array([operation.rot for operation in ordered]) // gemmi.Op.DEN,
            np.array([operation.tran for operation in ordered]) / gemmi.Op.DEN,
        )

    def fits(self, cell: np.ndarray) -> bool:
        """Whether the operations map a lattice on itself.

        Parameters
        ----------
        cell
            (3, 3) rows a, b, c [Å].
        """
        metric = cell @ cell.T
        mapped = np.einsum("nki,kl,nlj->nij", self.rotations, metric, self.rotations)
        lengths = np.sqrt(np.diag(metric))
        return bool(np.abs((mapped - metric) / np.outer(lengths, lengths)).max() < METRIC_TOLERANCE)


def find_settings(block: CifBlock) -> tuple[list[Setting], list[str]]:
    """Find the operations of a block, in each setting that it may mean.

    Returns
    -------
    settings, notes
        At least one; what people should know.

    Raises
    ------
    InputError
        If operations, symbols and number contradict each other, or do not say which operations
        there are.
    """
    groups = _declared(block)
    listed = _listed_operations(block)
    if listed is not None:
        return [listed[0]], _compare(*listed, groups)
    if not groups:
        return [Setting.of("P 1", [gemmi.Op("x,y,z")])], [
            "says nothing of symmetry; all atoms of the cell are taken to be listed (P 1)"
        ]
    settings = [Setting.of(group.xhm(), list(group.operations())) for group in groups]
    notes = []
    if block.text(*SYMBOL) is None and block.text(*HALL) is None:
        notes.append(
            f"names its space group by number {groups[0].number} alone; the standard setting "
            f"{groups[0].hm} is taken"
        )
    return settings, notes


def _declared(block: CifBlock) -> list[gemmi.SpaceGroup]:
    """Give the settings that symbols and number name; none where there are none."""
    hall, symbol = block.text(*HALL), block.text(*SYMBOL)
    number = _number(block)
    named = [] if symbol is None else _by_symbol(symbol)
    by_hall = [] if hall is None else _by_hall(hall)
    # operations that are listed say it all: a name that no table knows does no harm then
    if block.column(*OPERATIONS) is None and not by_hall:
        if hall is not None:
            raise InputError(f"Hall symbol {hall!r} is unknown; {WRITE_OPERATIONS}")
        if symbol is not None and not named:
            raise InputError(f"space group {symbol!r} is unknown; {WRITE_OPERATIONS}")
    if by_hall:
        if named and by_hall[0].number != named[0].number:
            raise InputError(
                f"Hall symbol {hall!r} is of no. {by_hall[0].number}, but symbol {symbol!r} of no. "
                f"{named[0].number}; correct one of them, or {WRITE_OPERATIONS}"
            )
        named = by_hall
    if number is not None and named and named[0].number != number:
        raise InputError(
            f"space group {symbol or hall!r} is no. {named[0].number}, but the number is given as "
            f"{number}; correct one of them"
        )
    if number is not None and not named:
        named = _all_named(gemmi.get_spacegroup_reference_setting(number))
    return _of_code(named, block.text(*CODE))


def _number(block: CifBlock) -> int | None:
    found = {}
    for tag in NUMBER:
        text = block.text(tag)
        if text is not None:
            found[tag] = text
    for tag, text in found.items():
        if not text.isdigit() or not 1 <= int(text) <= 230:
            raise InputError(f"{tag} is {text!r}, expected a number from 1 to 230")
    if len({int(text) for text in found.values()}) > 1:
        raise InputError(f"numbers of the space group differ: {found}; remove one")
    return next((int(text) for text in found.values()), None)


def _by_symbol(symbol: str) -> list[gemmi.SpaceGroup]:
    """Give the settings that a Hermann-Mauguin symbol may mean."""
    if (group := gemmi.find_spacegroup_by_name(symbol)) is not None:
        return _with_its_settings(group, symbol)
    text = re.sub(r"\((\d)\)", r"\1", symbol)  # P 2(1)/c
    text = re.sub(r"\(?origin (?:choice )?([12])\)?", r":\1", text, flags=re.IGNORECASE)
    text = re.sub(r"\(.*\)", "", text).replace("_", "").strip()  # P 1 (no. 1), P 2_1/c
    if ending := re.fullmatch(r"(.+?)(?:\s*[:;,]\s*|\s+(?![12]$))(\w+)", text):
        code = ending[2].upper()
        group = gemmi.find_spacegroup_by_name(f"{ending[1]}:{SETTINGS.get(code, code)}")
        if group is not None:
            return [group]
    group = gemmi.find_spacegroup_by_name(text)
    return [] if group is None else _with_its_settings(group, text)


def _with_its_settings(group: gemmi.SpaceGroup, symbol: str) -> list[gemmi.SpaceGroup]:
    """Give the setting that the end of a symbol says, as R-3mR does, or all that it may mean."""
    return [group] if symbol.strip().upper().endswith(group.ext) else _all_named(group)


def _by_hall(hall: str) -> list[gemmi.SpaceGroup]:
    """Give the setting of a Hall symbol; none for one that gemmi's table lacks."""
    try:
        operations = gemmi.symops_from_hall(hall)
    except (RuntimeError, ValueError):
        return []
    group = gemmi.find_spacegroup_by_ops(operations)
    return [group] if group is not None else []


def _all_named(group: gemmi.SpaceGroup) -> list[gemmi.SpaceGroup]:
    """Both origins, or both axes, of one symbol."""
    return [other for other in gemmi.spacegroup_table() if other.hm == group.hm]


def _of_code(groups: Sequence[gemmi.SpaceGroup], code: str | None) -> list[gemmi.SpaceGroup]:
    """Those of some settings that a coordinate system code names."""
    if code is None or len(groups) == 1:
        return list(groups)
    named = [g for g in groups if code.lower() in (g.ext.lower(), g.qualifier.lower())]
    if not named:
        raise InputError(f"{CODE[0]} {code!r} is no setting of no. {groups[0].number}; correct it")
    return named


def _listed_operations(block: CifBlock) -> tuple[Setting, gemmi.GroupOps] | None:
    """Operations that a block lists; None without a list."""
    lists = []
    for tag in OPERATIONS:
        words = [word for raw in block.values.get(tag, []) if (word := plain(raw)) is not None]
        if words:
            lists.append([_operation(tag, word) for word in words])
    if not lists:
        return None
    operations = lists[0]
    given = {operation.wrap().triplet() for operation in operations}
    if any({operation.wrap().triplet() for operation in other} != given for other in lists[1:]):
        raise InputError(f"{OPERATIONS[0]} and {OPERATIONS[1]} list other operations; remove one")
    if "x,y,z" not in given:
        raise InputError(f"the operations lack x,y,z; {WRITE_OPERATIONS} all")
    group = _group(operations)
    if group is None:
        raise InputError(
            f"the {len(given)} operations make no group: some are missing or wrong; "
            f"{WRITE_OPERATIONS} all"
        )
    return Setting.of("the operations listed", operations), group


def _operation(tag: str, word: str) -> gemmi.Op:
    try:
        operation = gemmi.Op(word)
        if abs(operation.det_rot()) == gemmi.Op.DEN**3:
            return operation
    except (RuntimeError, ValueError):
        pass
    raise InputError(f"{tag}: {word!r} is no symmetry operation, such as -x,y+1/2,-z")


def _group(operations: Sequence[gemmi.Op]) -> gemmi.GroupOps | None:
    """Group of operations; None if they are none."""
    given = {operation.wrap().triplet() for operation in operations}
    try:
        group = gemmi.GroupOps([gemmi.Op(triplet) for triplet in sorted(given)])
        group.add_missing_elements()
    except RuntimeError:
        return None
    return group if {operation.wrap().triplet() for operation in group} == given else None


def _compare(
    listed: Setting, operations: gemmi.GroupOps, declared: Sequence[gemmi.SpaceGroup]
) -> list[str]:
    """Compare operations with the space group that the block names.

    Operations count where both agree on the group, but not on the setting.
    """
    found = gemmi.find_spacegroup_by_ops(operations)
    if not declared:
        return []
    said = declared[0]
    if found is None:
        same = _rotation_types(operations) == _rotation_types(said.operations())
        name = f"of another group ({len(listed.rotations)})"
    else:
        same = found.number == said.number
        name = f"of {found.hm} (no. {found.number})"
    if not same:
        mend = "correct one of them"
        if len(listed.rotations) == 1:
            mend += " (P 1, no. 1, if all atoms of the cell are listed)"
        raise InputError(
            f"the operations are {name}, but the space group is given as {said.hm} (no. "
            f"{said.number}); {mend}"
        )
    if found is not None and found.hm not in {group.hm for group in declared}:
        return [
            f"the operations are those of {found.hm}, the symbol says {said.hm}; the operations "
            "are taken"
        ]
    return []


def _rotation_types(operations: gemmi.GroupOps) -> Counter[int]:
    """How many rotations of each kind a point group has, which no choice of axes changes."""
    return Counter(operation.rot_type() for operation in operations.sym_ops)
