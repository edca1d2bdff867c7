// The resident graph in torch's tensors. Only for the files that hold a torch model.

#ifndef MOFMD_DEVICE_GRAPH_H
#define MOFMD_DEVICE_GRAPH_H

#include "resident_graph.h"
#include "tensors.h"

#include <utility>
#include <vector>

namespace mofmd {

// Squared distances between the atoms of pairs (P), and r_j - r_i (P, 3).
std::pair<torch::Tensor, torch::Tensor> separations(const torch::Tensor &positions,
                                                    const torch::Tensor &centres,
                                                    const torch::Tensor &neighbors);

class DeviceGraph final : public ResidentGraph {
public:
  explicit DeviceGraph(torch::Device device) : device_(device), to_device_(device) {}

  void rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
               double skin) override;
  void move(const AtomArrays &atoms) override;
  void add_padding() override;
  double memory() const override;

  // Atoms and nodes of the pairs that may come within the cutoff, in the order of their centres.
  struct Pairs {
    torch::Tensor centre_atoms, neighbor_atoms;    // (P)
    torch::Tensor centres, neighbors;              // (P) nodes
    torch::Tensor cutoff_sq;                       // (P) A^2
  };
  const Pairs &pairs() const { return pairs_; }

  GraphTensors tensors() const;

  // The graph cut into parts of `size` owned nodes: owned nodes of a part come first in it, the
  // others are those of the whole, in turn. Right for strictly local models only.
  std::vector<GraphTensors> parts(std::int64_t size) const;

private:
  torch::Device device_;
  Upload to_device_;
  Pairs pairs_;
  torch::Tensor positions_;       // (num_all, 3)
  torch::Tensor types_;           // (N)
  torch::Tensor node_atoms_;      // (N)
  torch::Tensor edge_index_;      // (2, E), in the order of the centres
  torch::Tensor edge_vectors_;    // (E, 3)

  torch::Tensor indices(const std::vector<std::int64_t> &values) const;
  void set_nodes(const AtomArrays &atoms, const std::vector<std::int64_t> &model_types);
};

}    // namespace mofmd

#endif
