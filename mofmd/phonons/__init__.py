"""Lattice dynamics: phonons, their thermodynamics and their change with temperature."""

from mofmd.phonons.calculate import calculate
from mofmd.phonons.model import ModelOptions
from mofmd.phonons.run import ForceOptions
from mofmd.phonons.spectrum.spectrum import Spectrum, SpectrumOptions

__all__ = ["ForceOptions", "ModelOptions", "Spectrum", "SpectrumOptions", "calculate"]
