"""The names of ``mofmd``, which its ``__getattr__`` imports when they are asked for."""
# ruff: noqa: I001 - one line a module reads better

from mofmd.analysis.base.observable import Observable as Observable
from mofmd.analysis.base.result import (
    Column as Column,
    Result as Result,
    Table as Table,
    read_results as read_results,
    write_results as write_results,
)
from mofmd.analysis.base.statistics import Estimate as Estimate
from mofmd.analysis.dynamics.msd import Msd as Msd
from mofmd.analysis.dynamics.vacf import Vacf as Vacf
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor as ElasticTensor
from mofmd.analysis.one_pass import analyse as analyse
from mofmd.analysis.pores.pores import PoreStatistics as PoreStatistics
from mofmd.analysis.structure.angles import BondAngles as BondAngles
from mofmd.analysis.structure.coordination import CoordinationNumber as CoordinationNumber
from mofmd.analysis.structure.density import Density as Density
from mofmd.analysis.structure.linkers import Integrity as Integrity
from mofmd.analysis.structure.rdf import Rdf as Rdf
from mofmd.analysis.structure.rings import Rings as Rings
from mofmd.analysis.structure.scattering import Scattering as Scattering
from mofmd.builders.blocks.blocks import find_blocks as find_blocks
from mofmd.builders.blocks.caps import find_cap as find_cap
from mofmd.builders.defects.characterise import (
    characterise as characterise,
    count_pristine as count_pristine,
)
from mofmd.builders.defects.defect_files import Variant as Variant, write_variants as write_variants
from mofmd.builders.defects.defects import (
    Defects as Defects,
    distinct_linker_defects as distinct_linker_defects,
    distinct_substitutions as distinct_substitutions,
    make_defects as make_defects,
)
from mofmd.builders.defects.random_defects import (
    RandomDefects as RandomDefects,
    draw_defects as draw_defects,
)
from mofmd.builders.nets.fcu import bcu as bcu, find_fcu as find_fcu, reo as reo, scu as scu
from mofmd.engine.evaluate import evaluate as evaluate
from mofmd.engine.launch import Resources as Resources
from mofmd.errors import (
    BuildError as BuildError,
    InputError as InputError,
    InputWarning as InputWarning,
    MissingFileError as MissingFileError,
    MofmdError as MofmdError,
    RunError as RunError,
    StoppedError as StoppedError,
)
from mofmd.models.deploy.deploy import deploy as deploy
from mofmd.models.dispersion.dispersion import Dispersion as Dispersion
from mofmd.models.files.deployed import (
    DeployedModel as DeployedModel,
    read_deployed as read_deployed,
)
from mofmd.models.files.embedded import (
    embedded_model as embedded_model,
    embedded_models as embedded_models,
)
from mofmd.models.names import find_model as find_model
from mofmd.structures.read import read_structure as read_structure
from mofmd.relaxation.conduct import relax as relax, relax_in_folder as relax_in_folder
from mofmd.relaxation.options import RelaxOptions as RelaxOptions
from mofmd.relaxation.result import Relaxed as Relaxed
from mofmd.report.page import write_page as write_page
from mofmd.simulation.deck.deck import (
    Deck as Deck,
    read_deck as read_deck,
    write_deck as write_deck,
)
from mofmd.simulation.deck.final import read_final as read_final
from mofmd.simulation.deck.potential import (
    Potential as Potential,
    PotentialScript as PotentialScript,
    model_potential as model_potential,
)
from mofmd.simulation.deck.protocol_file import (
    make_protocol as make_protocol,
    read_protocol as read_protocol,
)
from mofmd.simulation.deck.request import Request as Request, generate_deck as generate_deck
from mofmd.simulation.ensemble.ensemble import (
    Ensemble as Ensemble,
    count_states as count_states,
    new_ensemble as new_ensemble,
    read_ensemble as read_ensemble,
)
from mofmd.simulation.ensemble.table import collect as collect
from mofmd.simulation.ensemble.ensemble_run import Workers as Workers, run_ensemble as run_ensemble
from mofmd.simulation.protocols import (
    NPT as NPT,
    NST as NST,
    NVE as NVE,
    NVT as NVT,
    Elastic as Elastic,
    EnergyVolume as EnergyVolume,
    FiniteStrain as FiniteStrain,
    MeltQuench as MeltQuench,
    Minimise as Minimise,
    PressureGrid as PressureGrid,
    Protocol as Protocol,
    StrainFluctuation as StrainFluctuation,
    VolumeGrid as VolumeGrid,
)
from mofmd.simulation.run.run import Run as Run, run_deck as run_deck
from mofmd.structures.crystals.carboxylate import mof5 as mof5, uio66 as uio66
from mofmd.structures.crystals.zif import zif4 as zif4, zif8 as zif8
from mofmd.trajectory.frame import Frame as Frame
from mofmd.structures.supercell import (
    matrix_supercell as matrix_supercell,
    repeat as repeat,
    supercell_for_atoms as supercell_for_atoms,
)
from mofmd.study.settings import AnalysisSettings as AnalysisSettings
from mofmd.study.study import (
    Analysis as Analysis,
    run_analyses as run_analyses,
    run_analysis as run_analysis,
    write_analysis as write_analysis,
)
from mofmd.topology.building_units import (
    find_linkers as find_linkers,
    find_net as find_net,
    find_units as find_units,
)
from mofmd.topology.check import check_structure as check_structure
from mofmd.topology.guests import remove_guests as remove_guests
from mofmd.topology.metal_donors import metal_donors as metal_donors
from mofmd.trajectory.trajectory import TrajectoryFile as TrajectoryFile, Unwrapped as Unwrapped
from mofmd.trajectory.in_memory import Trajectory as Trajectory, read_dump as read_dump

__all__: list[str]
__version__: str
