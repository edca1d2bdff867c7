#include "graph/fixed_graph.h"

#include <algorithm>
#include <cmath>

namespace mofmd {

namespace {

  constexpr double MORE_ROOM = 1.1;      // of what is needed now: arrays are seldom made anew
  constexpr double PADDING_AT = 0.99;    // of the cutoff: an edge that weighs next to nothing
  constexpr std::int64_t PAIRS_PER_PADDING_NODE = 20000;

  std::int64_t room_for(std::int64_t count)
  {
    return static_cast<std::int64_t>(std::ceil(MORE_ROOM * static_cast<double>(count))) + 64;
  }

  // Unused edges cost what edges cost: a little more than their number fluctuates by.
  std::int64_t room_for_edges(std::int64_t count)
  {
    const auto number = static_cast<double>(count);
    return static_cast<std::int64_t>(1.005 * number + 4.0 * std::sqrt(number)) + 64;
  }

}    // namespace

void FixedGraph::make_room(std::int64_t num_atoms, std::int64_t num_pairs, double shortest_cutoff)
{
  const bool fits = pairs_.positions.defined() && pairs_.positions.size(0) >= num_atoms &&
                    pairs_.cutoff_sq.size(0) >= num_pairs && padding_.first_node == num_nodes;
  if (fits) return;
  const auto integers = torch::dtype(torch::kLong).device(device_);
  const auto reals = torch::dtype(torch::kDouble).device(device_);
  const std::int64_t room = room_for(num_pairs);
  pairs_.positions = torch::zeros({room_for(num_atoms), 3}, reals);
  pairs_.centre_atoms = torch::zeros({room}, integers);
  pairs_.neighbor_atoms = torch::zeros({room}, integers);
  pairs_.cutoff_sq = torch::empty({room}, reals);
  pairs_.ends = torch::empty({2, room}, integers);
  padding_ = {PADDING_AT * shortest_cutoff, num_nodes, 1 + room / PAIRS_PER_PADDING_NODE};
  types_ = torch::zeros({num_nodes + padding_.num_nodes}, integers);
}

void FixedGraph::rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
                         double skin)
{
  const torch::NoGradGuard no_autograd;
  found_.rebuild(atoms, list, map, skin);
  num_nodes = found_.num_nodes;
  num_local_nodes = found_.num_local_nodes;
  node_atom = found_.node_atom;
  const PairTable &found = found_.pairs();
  const std::int64_t count = found.cutoff_sq.size(0);
  const double shortest = *std::min_element(map.cutoff_sq.begin(), map.cutoff_sq.end());
  make_room(atoms.num_all, count, std::sqrt(shortest));

  pairs_.centre_atoms.narrow(0, 0, count).copy_(found.centre_atoms);
  pairs_.neighbor_atoms.narrow(0, 0, count).copy_(found.neighbor_atoms);
  pairs_.centre_atoms.slice(0, count).zero_();
  pairs_.neighbor_atoms.slice(0, count).zero_();
  pairs_.cutoff_sq.fill_(-1.0).narrow(0, 0, count).copy_(found.cutoff_sq);
  pairs_.ends.zero_().narrow(1, 0, count).copy_(found.ends);
  types_.narrow(0, 0, num_nodes).copy_(found_.tensors().types);

  has_held(find_near(found).sum().item<std::int64_t>());
}

bool FixedGraph::has_held(std::int64_t found)
{
  num_edges = found;
  if (found <= max_edges_) return true;
  max_edges_ = room_for_edges(found);
  return false;
}

Layout FixedGraph::layout() const
{
  Layout layout{max_edges_, num_nodes};
  for (const torch::Tensor &read : {pairs_.positions, pairs_.centre_atoms, pairs_.neighbor_atoms,
                                    pairs_.cutoff_sq, pairs_.ends, types_}) {
    layout.push_back(reinterpret_cast<std::intptr_t>(read.const_data_ptr()));
    layout.push_back(read.numel());
  }
  return layout;
}

void FixedGraph::move(const AtomArrays &atoms)
{
  const torch::NoGradGuard no_autograd;
  pairs_.positions.narrow(0, 0, atoms.num_all)
      .copy_(to_device_.positions(atoms), /*non_blocking=*/true);
}

FixedGraph::Step FixedGraph::step() const
{
  const torch::NoGradGuard no_autograd;
  const torch::Tensor is_near = find_near(pairs_);
  Step step;
  step.num_edges = is_near.sum();
  step.kept = torch::nonzero_static(is_near, max_edges_, /*fill_value=*/num_pairs()).squeeze(1);
  const EdgeArrays edges = take_edges(pairs_, step.kept, padding_);
  step.graph.types = step.graph.local_types = types_;
  step.graph.edge_index = edges.index;
  step.graph.edge_vectors = edges.vectors;
  return step;
}

// LAMMPS has one rank here, and does not evaluate without atoms.
void FixedGraph::add_padding()
{
  throw std::logic_error("a graph of fixed shapes is evaluated without atoms");
}

double FixedGraph::memory() const
{
  double bytes = found_.memory();
  for (const torch::Tensor &held : {pairs_.positions, pairs_.centre_atoms, pairs_.neighbor_atoms,
                                    pairs_.cutoff_sq, pairs_.ends})
    if (held.defined()) bytes += static_cast<double>(held.nbytes());
  return bytes;
}

}    // namespace mofmd
