// Buffers of a graph as torch tensors, and back. Only for the files that hold a torch model.

#ifndef MOFMD_TENSORS_H
#define MOFMD_TENSORS_H

#include "model.h"

#include <torch/types.h>

#include <chrono>

namespace mofmd {

// Tensors over the memory of a graph: no copy on the CPU unless the dtype differs. They live as
// long as the graph is not rebuilt.
class GraphTensors {
public:
  GraphTensors(const Graph &graph, torch::Device device) : graph_(graph), device_(device) {}

  torch::Tensor types() const    // (N)
  {
    return wrap(graph_.types.data(), {graph_.num_nodes}, torch::kLong);
  }
  torch::Tensor local_types() const    // (N_local), of the owned nodes, which come first
  {
    return wrap(graph_.types.data(), {graph_.num_local_nodes}, torch::kLong);
  }
  torch::Tensor edge_index() const    // (2, E) centre, neighbour
  {
    return wrap(graph_.edge_index.data(), {2, graph_.num_edges}, torch::kLong);
  }
  torch::Tensor edge_vectors(torch::Dtype dtype) const    // (E, 3) r_j - r_i
  {
    return wrap(graph_.edge_vectors.data(), {graph_.num_edges, 3}, torch::kDouble).to(dtype);
  }
  torch::Tensor positions(torch::Dtype dtype) const    // (N, 3)
  {
    return wrap(graph_.positions.data(), {graph_.num_nodes, 3}, torch::kDouble).to(dtype);
  }
  // A model computes r_ij = x_j - x_i + shift . cell. With x = 0 and cell = 1 the shift is r_ij
  // itself, taken from LAMMPS in float64; derivatives with respect to x and to a strain of x and
  // cell are what they were.
  torch::Tensor zero_positions(torch::Dtype dtype) const    // (N, 3)
  {
    return torch::zeros({graph_.num_nodes, 3}, torch::dtype(dtype).device(device_));
  }
  torch::Tensor unit_cell(torch::Dtype dtype) const    // (3, 3)
  {
    return torch::eye(3, torch::dtype(dtype).device(device_));
  }

private:
  const Graph &graph_;
  torch::Device device_;

  template <typename T>
  torch::Tensor wrap(const T *data, torch::IntArrayRef shape, torch::Dtype dtype) const
  {
    return torch::from_blob(const_cast<T *>(data), shape, torch::dtype(dtype)).to(device_);
  }
};

// A result on the CPU in float64, of a shape that has been checked.
inline torch::Tensor to_host(const torch::Tensor &result, std::int64_t numel, const char *name)
{
  if (result.numel() != numel)
    throw ModelError(std::string("the model returned ") + std::to_string(result.numel()) +
                     " numbers as '" + name + "', expected " + std::to_string(numel));
  return result.detach().to(torch::kCPU, torch::kDouble).contiguous();
}

torch::Device torch_device(const std::string &name);

// Rows of energies to expect: of all nodes, or of the owned ones where a model gives no more.
inline std::int64_t num_energies(const torch::Tensor &energies, const Graph &graph)
{
  return energies.numel() == graph.num_local_nodes ? graph.num_local_nodes : graph.num_nodes;
}

// Seconds since its construction or last lap. Work that is under way on a GPU is waited for.
class TransferTimer {
public:
  explicit TransferTimer(torch::Device device) : device_(device) {}
  double lap();

private:
  torch::Device device_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::unique_ptr<Model> load_torchscript(ModelInfo info);
std::unique_ptr<Model> load_mace(ModelInfo info);
std::unique_ptr<Model> load_aotinductor(ModelInfo info, const std::string &inputs,
                                        const std::string &outputs);

}    // namespace mofmd

#endif
