#include "graph/tensors.h"

#include <torch/cuda.h>

#include <algorithm>

namespace mofmd {

namespace {

  template <typename T>
  torch::Tensor wrap(const T *data, torch::IntArrayRef shape, torch::Dtype dtype)
  {
    return torch::from_blob(const_cast<T *>(data), shape, torch::dtype(dtype));
  }

  // Page-locked memory of at least this many numbers; grown by half more than asked, so that a
  // slowly growing system does not allocate anew at each step.
  void reserve(torch::Tensor &staging, std::int64_t numel)
  {
    if (staging.defined() && staging.numel() >= numel) return;
    staging = torch::empty({numel + numel / 2}, torch::dtype(torch::kDouble).pinned_memory(true));
  }

}    // namespace

torch::Device torch_device(const std::string &name)
{
  return torch::Device(name);
}

GraphTensors graph_tensors(const Graph &graph, torch::Device device)
{
  const std::int64_t nodes = graph.num_nodes, edges = graph.num_edges;
  GraphTensors tensors;
  tensors.types = wrap(graph.types.data(), {nodes}, torch::kLong).to(device);
  tensors.local_types = tensors.types.narrow(0, 0, graph.num_local_nodes);
  tensors.edge_index = wrap(graph.edge_index.data(), {2, edges}, torch::kLong).to(device);
  tensors.edge_vectors = wrap(graph.edge_vectors.data(), {edges, 3}, torch::kDouble).to(device);
  tensors.atom_positions = wrap(graph.positions.data(), {nodes, 3}, torch::kDouble).to(device);
  return tensors;
}

torch::Tensor Upload::positions(const AtomArrays &atoms)
{
  const std::int64_t n = atoms.num_all;
  torch::Tensor here = wrap(n > 0 ? atoms.x[0] : nullptr, {n, 3}, torch::kDouble);
  if (device_.is_cpu()) return here;
  reserve(staging_, 3 * n);
  torch::Tensor staged = staging_.narrow(0, 0, 3 * n).view({n, 3});
  staged.copy_(here);
  return staged.to(device_, torch::kDouble, /*non_blocking=*/true);
}

const double *Download::take(const std::vector<torch::Tensor> &results)
{
  std::vector<torch::Tensor> flat;
  flat.reserve(results.size());
  for (const torch::Tensor &result : results)
    flat.push_back(result.detach().to(torch::kDouble).reshape({-1}));
  const torch::Tensor all = torch::cat(flat);
  if (all.is_cpu()) {
    staging_ = all;
    return staging_.const_data_ptr<double>();
  }
  reserve(staging_, all.numel());
  staging_.narrow(0, 0, all.numel()).copy_(all, /*non_blocking=*/true);
  torch::cuda::synchronize(all.device().index());
  return staging_.const_data_ptr<double>();
}

double TransferTimer::lap()
{
  if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> elapsed = now - last_;
  last_ = now;
  return elapsed.count();
}

}    // namespace mofmd
