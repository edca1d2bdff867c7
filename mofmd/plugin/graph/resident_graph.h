// A graph that stays where the model runs. Pairs of atoms that may come within the cutoff change
// only when LAMMPS makes new neighbour lists; each step brings new positions, and the edges are
// taken from the pairs on the device. Free of torch's headers.

#ifndef MOFMD_RESIDENT_GRAPH_H
#define MOFMD_RESIDENT_GRAPH_H

#include "graph/graph.h"

#include <memory>
#include <string>

namespace mofmd {

class ResidentGraph : public Nodes {
public:
  virtual ~ResidentGraph() = default;

  // Atoms have come, gone or changed places, or have moved by half the skin. Pairs are those of
  // `list`, or found on the device from the positions where it is a nullptr.
  virtual void rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
                       double skin) = 0;

  // New positions of the same atoms: the edges of a step.
  virtual void move(const AtomArrays &atoms) = 0;

  // As Graph::add_padding.
  virtual void add_padding() = 0;

  // Its arrays keep their sizes: a FixedGraph, otherwise a DeviceGraph.
  virtual bool has_fixed_shapes() const { return false; }

  // Bytes that it holds on the device between steps.
  virtual double memory() const = 0;
};

std::unique_ptr<ResidentGraph> make_resident_graph(const std::string &device,
                                                   bool has_fixed_shapes);

// Whether steps of fixed shapes are recorded on a device: otherwise they gain nothing.
bool records_fixed_shapes(const std::string &device);

}    // namespace mofmd

#endif
