"""Which GPU a rank takes: the plugin's own header, compiled, with numbers of GPUs made up."""

import os
import subprocess
from pathlib import Path

import pytest

import mofmd

PROGRAM = """\
#include "gpu/placement.h"
#include <cstdio>
int main(int, char **arg)
{
  if (arg[1] == std::string("shared"))
    return std::printf("%d", mofmd::ranks_per_gpu(mofmd::ranks_of_node(std::atoi(arg[2])),
                                                  std::atoi(arg[3]))), 0;
  if (arg[1] == std::string("visible")) return std::puts(mofmd::visible_device(arg[2]).c_str()), 0;
  if (!mofmd::is_device_name(arg[1])) return std::puts("no name"), 0;
  try {
    const int rank = mofmd::rank_on_node(std::atoi(arg[2]));
    std::puts(mofmd::gpu_of_rank(arg[1], rank, std::atoi(arg[3])).c_str());
  } catch (const std::invalid_argument &error) {
    std::puts(error.what());
  }
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("placement")
    (work / "main.cpp").write_text(PROGRAM)
    headers = Path(mofmd.__file__).parent / "plugin"
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{headers}"]
    subprocess.run([*command, "main.cpp", "-o", "place"], cwd=work, check=True)
    return work / "place"


def place(program: Path, device: str, rank: int | str, gpus: int, **launcher: str) -> str:
    names = ("LOCAL", "SLURM", "FLUX", "CUDA")
    env = {k: v for k, v in os.environ.items() if not any(name in k for name in names)}
    command = [program, device, str(rank), str(gpus)]
    done = subprocess.run(
        command, env={**env, **launcher}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_ranks_of_a_node_take_gpus_in_turn(program: Path) -> None:
    assert [place(program, "cuda", rank, 4) for rank in range(6)] == [
        f"cuda:{k}" for k in (0, 1, 2, 3, 0, 1)
    ]
    assert {place(program, "cuda", rank, 1) for rank in range(3)} == {"cuda:0"}


@pytest.mark.parametrize(
    "name",
    ["MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "PALS_LOCAL_RANKID"],
)
def test_the_launcher_knows_the_rank_on_the_node(program: Path, name: str) -> None:
    # rank 9 of the launch is the second process of its node
    assert place(program, "cuda", 9, 4, **{name: "1"}) == "cuda:1"


@pytest.mark.parametrize("value", ["second", "1x", "-1", "1.0"])
def test_a_launcher_that_says_no_number(program: Path, value: str) -> None:
    told = place(program, "cuda", 0, 4, SLURM_LOCALID=value)
    assert f"SLURM_LOCALID is '{value}', expected a whole number of at least 0" in told


def test_partitions_spread(program: Path) -> None:
    # -partition 4x1: each is rank 0 of its world, 0 to 3 of the launch
    assert [place(program, "cuda", rank, 2) for rank in range(4)] == [
        "cuda:0",
        "cuda:1",
        "cuda:0",
        "cuda:1",
    ]


def test_partitions_that_share_a_gpu_share_its_memory(program: Path) -> None:
    # -partition 4x1, on one GPU and on more
    assert [place(program, "shared", 4, gpus) for gpus in (1, 2, 3, 4, 8)] == list("42211")
    assert place(program, "shared", 16, 2, MPI_LOCALNRANKS="4") == "2"  # on four nodes
    assert place(program, "shared", 4, 1, SLURM_GPUS_PER_TASK="1") == "1"


def test_ranks_that_see_different_gpus(program: Path) -> None:
    def visible(device: str, gpus: str) -> str:
        return place(program, "visible", device, 0, CUDA_VISIBLE_DEVICES=gpus)

    assert visible("cuda:0", "0") != visible("cuda:0", "1")
    assert visible("cuda:0", "0,1") == visible("cuda:0", "0,1") != visible("cuda:1", "0,1")
    assert visible("cpu", "0") == visible("cpu", "1") == "cpu"


def test_a_gpu_by_number(program: Path) -> None:
    assert place(program, "cuda:3", 0, 4) == "cuda:3"
    assert "cuda:4 is asked for, but torch sees 4 GPU(s)" in place(program, "cuda:4", 0, 4)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1234", ""])
def test_no_names_of_devices(program: Path, name: str) -> None:
    assert place(program, name, 0, 1) == "no name"
