import pytest

from mofmd.engine.lammps_log import join_stages, parse_log, read_log
from mofmd.errors import InputError, MissingFileError

LOG = """LAMMPS (22 Jul 2025 - Update 4)
print "mofmd plan heat 20 melt 10"
mofmd plan heat 20 melt 10
mofmd stage heat
Per MPI rank memory allocation (min/avg/max) = 4.187 | 4.187 | 4.187 Mbytes
   Step          Time           Temp
         0  0 300
WARNING: something odd
        10  0.005 310.5
        20  0.01 320
Loop time of 1.25 on 2 procs for 20 steps with 64 atoms
Total # of neighbors = 5
mofmd stage melt
   Step          Time           Temp
        20  0.01 320
        30  0.015 nan
"""
END = "Loop time of 0.75 on 2 procs for 10 steps with 64 atoms\nmofmd done\n"


def test_tables_stages_and_plan(tmp_path):
    path = tmp_path / "log.lammps"
    path.write_text(LOG + END)
    heat, melt = read_log(path)
    assert (heat.stage, melt.stage) == ("heat", "melt")
    assert heat.columns["Temp"].tolist() == [300, 310.5, 320]
    assert (heat.loop_seconds, melt.loop_seconds) == (1.25, 0.75)
    with pytest.raises(ValueError, match="read-only"):
        heat.columns["Temp"][0] = 1


def test_stream():
    parser = parse_log(LOG.splitlines())
    assert parser.plan == {"heat": 20, "melt": 10}
    assert parser.stage == "melt"
    assert parser.warnings == ["WARNING: something odd"]
    assert not parser.finished
    assert parser.feed("        40  0.02 330") == {"Step": 40, "Time": 0.02, "Temp": 330}
    assert parser.feed("ERROR: lost atoms (src/thermo.cpp:1)") is None
    assert parser.errors == ["ERROR: lost atoms (src/thermo.cpp:1)"]


def test_a_log_that_ends_within_a_run():
    heat, melt = parse_log(LOG.splitlines()).close()
    assert heat.loop_seconds == 1.25
    assert melt.loop_seconds is None
    assert melt.columns["Step"].tolist() == [20, 30]


def test_three_words_are_not_three_numbers():
    parser = parse_log(LOG.splitlines()[:8])
    assert parser.feed("some other message") is None
    assert parser.close()[0].columns["Step"].tolist() == [0]


def test_join_keeps_each_step_once():
    joined = join_stages(parse_log(LOG.splitlines()).close(), ["Step", "Time"])
    assert joined["Step"].tolist() == [0, 10, 20, 30]
    assert joined["Time"].tolist() == [0, 0.005, 0.01, 0.015]


def test_errors(tmp_path):
    with pytest.raises(MissingFileError, match="no such log"):
        read_log(tmp_path / "log.lammps")
    (tmp_path / "log.lammps").write_text("LAMMPS (22 Jul 2025)\n")
    with pytest.raises(InputError, match="holds no thermo output"):
        read_log(tmp_path / "log.lammps")
