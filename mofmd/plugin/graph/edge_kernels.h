// What is done with pairs and edges beside the model: a kernel each on NVIDIA's GPUs, composed of
// torch's operators on any other device.

#ifndef MOFMD_EDGE_KERNELS_H
#define MOFMD_EDGE_KERNELS_H

#include <torch/types.h>

#include <string>

namespace mofmd {

// Pairs of atoms that may come within the cutoff.
struct PairTable {
  torch::Tensor positions;                       // (A, 3) float64
  torch::Tensor centre_atoms, neighbor_atoms;    // (P)
  torch::Tensor cutoff_sq;                       // (P) A^2
  torch::Tensor ends;                            // (2, P) nodes
};

// (P) bool: which are within the cutoff.
torch::Tensor find_near(const PairTable &pairs);

// Edges that fill an array up: each of one of some nodes that are no atoms with itself.
struct EdgePadding {
  double y = 0.0;    // r_j - r_i is (0, y, 0)
  std::int64_t first_node = 0, num_nodes = 1;
};
constexpr std::int64_t paddings_in_a_row = 256;    // of one node before the next node's

struct EdgeArrays {
  torch::Tensor vectors;    // (E, 3) float64 r_j - r_i
  torch::Tensor index;      // (2, E) nodes
};

// The edges of the pairs `kept` (E); a number past the last pair is one of padding.
EdgeArrays take_edges(const PairTable &pairs, const torch::Tensor &kept,
                      const EdgePadding &padding = {});

struct EdgeSums {
  torch::Tensor forces;    // (N, 3) float64
  torch::Tensor virial;    // (3, 3) float64: symmetric, as energies do not change under rotation
};

// With g = dE/dr_ij: F_i += g, F_j -= g, W -= r_ij (x) g. Edges of padding have no part; `kept` is
// undefined where there are none.
EdgeSums sum_edges(const torch::Tensor &gradients, const EdgeArrays &edges, std::int64_t num_nodes,
                   const torch::Tensor &kept = {}, std::int64_t num_pairs = 0);

// The text of the kernels, without `device_functions` (gpu_program.h).
std::string edge_kernels_source();

}    // namespace mofmd

#endif
