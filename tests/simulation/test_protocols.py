import math
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from mofmd.errors import InputError
from mofmd.simulation.deck.protocol_file import known_protocols, parse_settings, read_protocol
from mofmd.simulation.protocols import MeltQuench, Minimise
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


@pytest.mark.parametrize("name", sorted(known_protocols()))
def test_defaults_are_those_of_the_scripts(name):
    protocol = known_protocols()[name]()
    scripts = (protocol.script, "start.in", "course.in", "ensembles.in", "thermo.in",
               "trajectory.in", "system.in")  # fmt: skip
    text = "".join((REPOSITORY / "lammps_inputs" / script).read_text() for script in scripts)
    # the first definition of an index variable is the one that LAMMPS keeps
    found: dict[str, str] = {}
    for variable, value in re.findall(r"^variable (\w+) +index ([^#\n]+)", text, flags=re.M):
        found.setdefault(variable, value.strip())
    for variable, value, _ in protocol.variables(np.eye(3)):
        words = value if isinstance(value, tuple) else (value,)
        for word, other in zip(words, shlex.split(found[variable]), strict=True):
            same = word == other if isinstance(word, str) else float(other) == pytest.approx(word)
            assert same, variable


def test_hot_stages_have_their_own_timestep():
    hot = MeltQuench(temperature_max_K=1900)
    assert hot.stage_steps == {
        "equilibrate": 40000,
        "heat": 120000,
        "heat_hot": 80000,
        "melt": 200000,
        "quench_hot": 80000,
        "quench": 120000,
        "anneal": 200000,
    }
    assert hot.timesteps_fs == {0.5: 1500.0, 0.25: 1900.0}
    assert MeltQuench().stage_steps["heat_hot"] == 0


def test_schedule_for_allegro():
    assert MeltQuench.for_allegro().temperature_max_K == 1400
    assert MeltQuench.for_allegro().plateau_ps == 100


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
        ({"minimise_steps_max": -1}, "minimise_steps_max: -1, expected a whole number"),
        ({"supercell": (2, 2)}, r"supercell: \(2, 2\), expected three whole numbers"),
        ({"supercell": (2, 2, 0)}, r"supercell: \(2, 2, 0\), expected three whole numbers"),
        ({"temperature_max_K": 200}, "temperature_max_K: 200 is below temperature_K 300"),
        ({"thermostat_damping_fs": 4}, "thermostat_damping_fs: 4 fs is below ten timesteps"),
    ],
)
def test_refusals(field, message):
    with pytest.raises(InputError, match=message):
        replace(MeltQuench(), **field)


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "1.e-5", ".1e-4", "+1.0e-05", "0.00001"])
def test_numbers_of_yaml_are_numbers(text, tmp_path):
    """PyYAML alone takes 1e-5 for a word."""
    file = tmp_path / "my.yaml"
    file.write_text(f"protocol: minimise\nforce_tolerance_eV_per_A: {text}\n")
    assert read_protocol(file).force_tolerance_eV_per_A == 1e-5
    assert parse_settings([f"force_tolerance_eV_per_A={text}"]) == {
        "force_tolerance_eV_per_A": 1e-5
    }


def test_words_of_yaml_stay_words():
    values = parse_settings(["a=3e2", "b=e2", "c=1e", "d=300", "e=[1e3, 2]", "f=zif-4", "g=0x1e2"])
    assert values["a"] == 300.0
    assert isinstance(values["a"], float)
    assert (values["b"], values["c"], values["f"]) == ("e2", "1e", "zif-4")
    assert values["d"] == 300
    assert isinstance(values["d"], int)
    assert values["e"] == [1000.0, 2]


def test_minimise_takes_the_structure_as_it_is():
    assert Minimise().supercell == (1, 1, 1)
