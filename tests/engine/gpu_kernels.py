"""The kernels for GPUs, run on this processor: the same text, with one thread as a team."""

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

# What the plugin's `device_functions` are on a GPU.
HOST_FUNCTIONS = """\
#include <cstdlib>
typedef {real} real;
#define TEAM 1
#define KERNEL extern "C" void
static long long the_team;
static int the_channel;
static long long team() {{ return the_team; }}
static int lane() {{ return 0; }}
static int channel_block() {{ return the_channel; }}
template <typename T> static void add(T *sum, T term) {{ *sum += term; }}
template <typename T> static T warp_sum(T term) {{ return term; }}
static bool is_first_of_warp() {{ return true; }}
static void stop() {{ std::abort(); }}
static real team_sum(real term) {{ return term; }}
"""
CONVOLUTION = """
extern "C" void run(int is_backward, real **t, const long long *centres,
                    const long long *neighbours, long long nodes, long long edges,
                    long long edges_each, int channels)
{
  for (the_team = 0; the_team * edges_each < edges; ++the_team) {
    if (is_backward) backward(t[0], t[1], t[2], t[3], t[4], t[5], t[6], centres, neighbours, nodes,
                              edges, edges_each);
    else
      for (the_channel = 0; the_channel < channels; ++the_channel)
        forward(t[0], t[1], t[2], t[3], centres, neighbours, nodes, edges, edges_each);
  }
}
"""
EDGES = """
extern "C" void edges(const double *x, const long long *centres, const long long *neighbours,
                      const double *cutoff_sq, const long long *ends, const long long *kept,
                      const real *g, long long pairs, long long edges, double padding_y,
                      long long first_node, long long nodes, bool *is_near, double *vectors,
                      long long *index, double *forces, double *virial)
{
  for (the_team = 0; the_team < pairs + 3; ++the_team)
    find_near(x, centres, neighbours, cutoff_sq, is_near, pairs);
  for (the_team = 0; the_team < edges + 3; ++the_team)
    take_edges(x, centres, neighbours, ends, kept, vectors, index, pairs, edges, padding_y,
               first_node, nodes);
  for (the_team = 0; the_team < edges / 8 + 3; ++the_team)
    sum_edges(g, vectors, index, kept, forces, virial, pairs, edges, 8);
}
"""
Tables = Sequence[torch.Tensor]


def compile_for_host(
    source: str, dtype: torch.dtype, folder: Path, launch: str = CONVOLUTION
) -> ctypes.CDLL:
    """Return a library with the function of ``launch``."""
    real = "double" if dtype == torch.float64 else "float"
    (folder / "kernels.cpp").write_text(HOST_FUNCTIONS.format(real=real) + source + launch)
    library = folder / "kernels.so"
    command = ["g++", "-O1", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror",
               "-Wno-unused", "-o", str(library), str(folder / "kernels.cpp")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(library))


def convolve(
    library: ctypes.CDLL,
    inputs: Tables,
    upstream: torch.Tensor,
    ends: Tables,
    channels: int,
    edges_each: int,
) -> list[torch.Tensor]:
    """Return the result and the derivatives with respect to x, y and w."""
    x, y, w = (table.detach().contiguous() for table in inputs)
    out = torch.zeros_like(upstream)
    gradients = [torch.zeros_like(x), torch.full_like(y, torch.nan), torch.zeros_like(w)]
    centres, neighbours = (end.contiguous() for end in ends)
    for is_backward, tables in ((0, [x, y, w, out]), (1, [upstream, x, y, w, *gradients])):
        pointers = (ctypes.c_void_p * len(tables))(*(table.data_ptr() for table in tables))
        library.run(
            is_backward,
            pointers,
            ctypes.c_void_p(centres.data_ptr()),
            ctypes.c_void_p(neighbours.data_ptr()),
            ctypes.c_longlong(len(x)),
            ctypes.c_longlong(len(centres)),
            ctypes.c_longlong(edges_each),
            channels,
        )
    return [out, *gradients]
