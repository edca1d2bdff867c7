"""Tight relaxation of atoms and cell together, in this process."""

from mofmd.relaxation.conduct import relax, relax_in_folder
from mofmd.relaxation.options import RelaxOptions
from mofmd.relaxation.result import Relaxed

__all__ = ["RelaxOptions", "Relaxed", "relax", "relax_in_folder"]
