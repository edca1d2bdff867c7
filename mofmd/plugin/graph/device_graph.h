// The resident graph in torch's tensors. Only for the files that hold a torch model.

#ifndef MOFMD_DEVICE_GRAPH_H
#define MOFMD_DEVICE_GRAPH_H

#include "graph/edge_kernels.h"
#include "graph/resident_graph.h"
#include "graph/tensors.h"

#include <vector>

namespace mofmd {

class DeviceGraph final : public ResidentGraph {
public:
  explicit DeviceGraph(torch::Device device) : device_(device), to_device_(device) {}

  void rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
               double skin) override;
  void move(const AtomArrays &atoms) override;
  void add_padding() override;
  double memory() const override;

  // The pairs of atoms that may come within the cutoff, in the order of their centres.
  const PairTable &pairs() const { return pairs_; }

  GraphTensors tensors() const;

  // The graph cut into parts of `size` owned nodes: owned nodes of a part come first in it, the
  // others are those of the whole, in turn. Right for strictly local models only.
  std::vector<GraphTensors> parts(std::int64_t size) const;

private:
  torch::Device device_;
  Upload to_device_;
  PairTable pairs_;
  torch::Tensor types_;         // (N)
  torch::Tensor node_atoms_;    // (N)
  EdgeArrays edges_;            // in the order of the centres

  torch::Tensor indices(const std::vector<std::int64_t> &values) const;
  void set_nodes(const AtomArrays &atoms, const std::vector<std::int64_t> &model_types);
};

}    // namespace mofmd

#endif
