import math
import re
from dataclasses import replace

import pytest

from mofmd.errors import InputError
from mofmd.simulation.protocols import MeltQuench
from tests.reference import REPOSITORY


def test_published_schedule():
    paper = MeltQuench()
    assert paper.ramp_ps == 60.0  # 1200 K at 20 K/ps
    assert paper.total_ps == 20 + 60 + 50 + 60 + 100
    assert paper.total_steps == 580_000


def test_fast_schedule_is_minutes():
    fast = MeltQuench.fast()
    assert fast.supercell == (1, 1, 1)
    assert fast.timestep_fs == 0.5
    assert fast.total_steps == 10_000


def test_defaults_are_those_of_the_script():
    paper = MeltQuench()
    text = "".join((REPOSITORY / "lammps_inputs" / name).read_text() for name in
                   ("melt_quench.in", "thermo.in", "trajectory.in"))  # fmt: skip
    script = {
        name: float(value)
        for name, value in re.findall(r"^variable (\w+) +index ([\d.]+)", text, flags=re.M)
    }
    assert script["temperature"] == paper.temperature_K
    assert script["temperature_max"] == paper.temperature_max_K
    assert script["rate"] == paper.rate_K_per_ps
    assert script["equilibration"] == paper.equilibration_ps
    assert script["plateau"] == paper.plateau_ps
    assert script["anneal"] == paper.anneal_ps
    assert script["timestep"] == paper.timestep_fs / 1000
    assert script["damping"] == paper.thermostat_damping_fs / 1000
    assert script["seed"] == paper.seed
    assert script["minimise_steps_max"] == paper.minimise_steps_max
    assert script["thermo_every"] == paper.thermo_interval_fs / paper.timestep_fs
    assert script["dump_every"] == paper.frame_interval_fs / paper.timestep_fs
    assert script["restart_every"] == paper.steps(paper.restart_interval_ps)


def test_whole_numbers_and_floats_are_the_same_protocol():
    assert repr(MeltQuench(temperature_K=300)) == repr(MeltQuench(temperature_K=300.0))


@pytest.mark.parametrize(
    "name", ["temperature_K", "rate_K_per_ps", "timestep_fs", "frame_interval_fs"]
)
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "20", True])
def test_refuses_what_must_be_positive(name, value):
    with pytest.raises(InputError, match=f"^{name}: .* expected a number of more than zero"):
        MeltQuench(**{name: value})


def test_stages_may_be_empty():
    assert MeltQuench(plateau_ps=0, equilibration_ps=0, anneal_ps=0).total_steps == 240_000
    with pytest.raises(InputError, match="plateau_ps: -1, expected a number of zero or more"):
        MeltQuench(plateau_ps=-1)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"seed": 0}, "seed: 0, expected a whole number"),
        ({"seed": 1.5}, "seed: 1.5, expected a whole number"),
        ({"minimise_steps_max": 0}, "minimise_steps_max: 0, expected a whole number"),
        ({"supercell": (2, 2)}, r"supercell: \(2, 2\), expected three whole numbers"),
        ({"supercell": (2, 2, 0)}, r"supercell: \(2, 2, 0\), expected three whole numbers"),
        ({"temperature_max_K": 200}, "temperature_max_K: 200 is below temperature_K 300"),
        ({"thermostat_damping_fs": 4}, "thermostat_damping_fs: 4 fs is below ten timesteps"),
    ],
)
def test_refusals(field, message):
    with pytest.raises(InputError, match=message):
        replace(MeltQuench(), **field)
