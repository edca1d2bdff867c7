// A resident graph whose arrays keep their sizes and their places in memory while atoms move, for
// steps that a GPU replays as one. One rank only: atoms do not come and go.

#ifndef MOFMD_FIXED_GRAPH_H
#define MOFMD_FIXED_GRAPH_H

#include "device_graph.h"
#include "recorder.h"

namespace mofmd {

//   pairs   | found, in the order of centres | unused: never within the cutoff | 1 that pads edges
//   | edges   | pairs within the cutoff now                    | the last pair, again and again |
//   nodes   | owned atoms                                                      | 1 that pads edges
//   |
//
// What pads edges is a pair of the last node with itself, just within the cutoff: the model
// evaluates it as any other, and nothing that comes of it is used.
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
    torch::Tensor is_edge;      // (E_max) bool
    torch::Tensor num_edges;    // () int64: may be more than there is room for
  };
  Step step() const;
  Layout layout() const;

  // Takes note of the number of edges that a step found. False if there was no room for all: the
  // step is to be made again, there is room now.
  bool has_held(std::int64_t found);

private:
  DeviceGraph found_;
  Upload to_device_;
  torch::Device device_;
  std::int64_t max_edges_ = 0;
  torch::Tensor positions_;                        // (A_max, 3) float64
  torch::Tensor centre_atoms_, neighbor_atoms_;    // (P_max)
  torch::Tensor cutoff_sq_;                        // (P_max) A^2; unused pairs: -1
  torch::Tensor ends_;                             // (2, P_max + 1) nodes
  torch::Tensor types_;                            // (N + 1)
  torch::Tensor padding_vector_;                   // (1, 3) A

  void make_room(std::int64_t num_atoms, std::int64_t num_pairs, double shortest_cutoff);
};

}    // namespace mofmd

#endif
