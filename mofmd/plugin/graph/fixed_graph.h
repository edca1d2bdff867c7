// A resident graph whose arrays keep their sizes and their places in memory while atoms move, for
// steps that a GPU replays as one. One rank only: atoms do not come and go.

#ifndef MOFMD_FIXED_GRAPH_H
#define MOFMD_FIXED_GRAPH_H

#include "gpu/recorder.h"
#include "graph/device_graph.h"

namespace mofmd {

//   pairs | found, in the order of centres | unused: never within the cutoff
//   edges | pairs within the cutoff now    | padding
//   nodes | owned atoms                    | those of the padding
//
// Padding is edges of nodes with themselves, just within the cutoff: the model evaluates them as
// any other, and nothing that comes of them is used. They have more than one node, as a GPU sums
// in turn what goes to the same place.
class FixedGraph final : public ResidentGraph {
public:
  explicit FixedGraph(torch::Device device) : found_(device), to_device_(device), device_(device) {}

  void rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
               double skin) override;
  void move(const AtomArrays &atoms) override;
  void add_padding() override;
  double memory() const override;
  bool has_fixed_shapes() const override { return true; }

  // The graph of the present positions: operations of the same sizes on the same memory, as long
  // as `layout` is the same.
  struct Step {
    GraphTensors graph;
    torch::Tensor kept;         // (E_max) pair of each edge; past the last one: padding
    torch::Tensor num_edges;    // () int64: may be more than there is room for
  };
  Step step() const;
  std::int64_t num_pairs() const { return pairs_.cutoff_sq.size(0); }    // unused ones as well
  Layout layout() const;

  // Takes note of the number of edges that a step found. False if there was no room for all: the
  // step is to be made again, there is room now.
  bool has_held(std::int64_t found);

private:
  DeviceGraph found_;
  Upload to_device_;
  torch::Device device_;
  std::int64_t max_edges_ = 0;
  PairTable pairs_;        // unused pairs: cutoff_sq is -1
  torch::Tensor types_;    // (N and nodes of the padding)
  EdgePadding padding_;

  void make_room(std::int64_t num_atoms, std::int64_t num_pairs, double shortest_cutoff);
};

}    // namespace mofmd

#endif
