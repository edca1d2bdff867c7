"""Lattice dynamics: phonons, their thermodynamics and their change with temperature."""

from mofmd.phonons.calculate import calculate
from mofmd.phonons.effective.frames import Snapshots, read_snapshots
from mofmd.phonons.effective.md import FrameFit, fit_frames
from mofmd.phonons.effective.results import Sscha, SschaOptions
from mofmd.phonons.effective.sscha import self_consistent
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.model import ModelOptions
from mofmd.phonons.run import ForceOptions
from mofmd.phonons.spectrum.spectrum import Spectrum, SpectrumOptions

__all__ = [
    "ForceOptions",
    "FrameFit",
    "ModelOptions",
    "Snapshots",
    "Spectrum",
    "SpectrumOptions",
    "Sscha",
    "SschaOptions",
    "calculate",
    "fit_frames",
    "load_phonopy",
    "read_snapshots",
    "self_consistent",
]
