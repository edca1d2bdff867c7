// Graphs as torch tensors, and results back. Only for the files that hold a torch model.

#ifndef MOFMD_TENSORS_H
#define MOFMD_TENSORS_H

#include "graph/graph.h"

#include <torch/types.h>

#include <chrono>

namespace mofmd {

torch::Device torch_device(const std::string &name);

// A graph on the device that the model runs on.
struct GraphTensors {
  torch::Tensor types;             // (N)
  torch::Tensor local_types;       // (N_local), of the owned nodes, which come first
  torch::Tensor edge_index;        // (2, E) centre, neighbour
  torch::Tensor edge_vectors;      // (E, 3) r_j - r_i, float64
  torch::Tensor atom_positions;    // (num_all, 3) float64
  torch::Tensor node_atoms;        // (N) atom of a node; undefined: atom_positions are of nodes

  std::int64_t num_nodes() const { return types.size(0); }
  std::int64_t num_local_nodes() const { return local_types.size(0); }
  std::int64_t num_edges() const { return edge_vectors.size(0); }

  torch::Tensor positions() const    // (N, 3)
  {
    return node_atoms.defined() ? atom_positions.index_select(0, node_atoms) : atom_positions;
  }
  // A model computes r_ij = x_j - x_i + shift . cell. With x = 0 and cell = 1 the shift is r_ij
  // itself, taken from LAMMPS in float64; derivatives with respect to x and to a strain of x and
  // cell are what they were.
  torch::Tensor zero_positions(torch::Dtype dtype) const    // (N, 3)
  {
    return torch::zeros({num_nodes(), 3}, edge_vectors.options().dtype(dtype));
  }
  torch::Tensor unit_cell(torch::Dtype dtype) const    // (3, 3)
  {
    return torch::eye(3, edge_vectors.options().dtype(dtype));
  }
};

// Over the memory of a graph: no copy on the CPU. They live as long as it is not rebuilt.
GraphTensors graph_tensors(const Graph &graph, torch::Device device);

// Positions on their way to the device, through page-locked memory where it is a GPU.
class Upload {
public:
  explicit Upload(torch::Device device) : device_(device) {}
  torch::Tensor positions(const AtomArrays &atoms);    // (num_all, 3) float64

private:
  torch::Device device_;
  torch::Tensor staging_;
};

// Results on their way back: one copy for all of them.
class Download {
public:
  // Concatenates the tensors, float64, on the host; valid until the next call.
  const double *take(const std::vector<torch::Tensor> &results);

private:
  torch::Tensor staging_;
};

// Seconds since its construction or last lap. Work that is under way on a GPU is waited for.
class TransferTimer {
public:
  explicit TransferTimer(torch::Device device) : device_(device) {}
  double lap();

private:
  torch::Device device_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}    // namespace mofmd

#endif
