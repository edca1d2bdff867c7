#include "fixed_graph.h"

#include <algorithm>
#include <cmath>

namespace mofmd {

namespace {

  // Of what is needed now, so that arrays are seldom made anew. Unused pairs cost next to nothing,
  // unused edges what edges cost.
  constexpr double MORE_ROOM = 1.1, MORE_EDGES = 1.02;
  constexpr double PADDING_AT = 0.99;    // of the cutoff: an edge that weighs next to nothing

  std::int64_t room_for(std::int64_t count, double factor = MORE_ROOM)
  {
    return static_cast<std::int64_t>(std::ceil(factor * static_cast<double>(count))) + 64;
  }

}    // namespace

void FixedGraph::make_room(std::int64_t num_atoms, std::int64_t num_pairs, double shortest_cutoff)
{
  const bool fits = positions_.defined() && positions_.size(0) >= num_atoms &&
                    cutoff_sq_.size(0) >= num_pairs && types_.size(0) == num_nodes + 1;
  if (fits) return;
  const auto integers = torch::dtype(torch::kLong).device(device_);
  const auto reals = torch::dtype(torch::kDouble).device(device_);
  const std::int64_t room = room_for(num_pairs);
  positions_ = torch::zeros({room_for(num_atoms), 3}, reals);
  centre_atoms_ = torch::zeros({room}, integers);
  neighbor_atoms_ = torch::zeros({room}, integers);
  cutoff_sq_ = torch::empty({room}, reals);
  ends_ = torch::empty({2, room + 1}, integers);
  types_ = torch::zeros({num_nodes + 1}, integers);
  padding_vector_ = torch::zeros({1, 3}, reals);
  padding_vector_.select(1, 0).fill_(PADDING_AT * shortest_cutoff);
}

void FixedGraph::rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
                         double skin)
{
  const torch::NoGradGuard no_autograd;
  found_.rebuild(atoms, list, map, skin);
  num_nodes = found_.num_nodes;
  num_local_nodes = found_.num_local_nodes;
  node_atom = found_.node_atom;
  const DeviceGraph::Pairs &pairs = found_.pairs();
  const std::int64_t count = pairs.cutoff_sq.size(0);
  const double shortest = *std::min_element(map.cutoff_sq.begin(), map.cutoff_sq.end());
  make_room(atoms.num_all, count, std::sqrt(shortest));

  centre_atoms_.narrow(0, 0, count).copy_(pairs.centre_atoms);
  neighbor_atoms_.narrow(0, 0, count).copy_(pairs.neighbor_atoms);
  centre_atoms_.slice(0, count).zero_();
  neighbor_atoms_.slice(0, count).zero_();
  cutoff_sq_.fill_(-1.0).narrow(0, 0, count).copy_(pairs.cutoff_sq);
  ends_.fill_(num_nodes);
  ends_[0].narrow(0, 0, count).copy_(pairs.centres);
  ends_[1].narrow(0, 0, count).copy_(pairs.neighbors);
  types_.narrow(0, 0, num_nodes).copy_(found_.tensors().types);

  found_.move(atoms);
  num_edges = found_.num_edges;
  has_held(num_edges);
}

bool FixedGraph::has_held(std::int64_t found)
{
  num_edges = found;
  if (found <= max_edges_) return true;
  max_edges_ = room_for(found, MORE_EDGES);
  return false;
}

Layout FixedGraph::layout() const
{
  Layout layout{max_edges_, num_nodes};
  for (const torch::Tensor &read :
       {positions_, centre_atoms_, neighbor_atoms_, cutoff_sq_, ends_, types_, padding_vector_}) {
    layout.push_back(reinterpret_cast<std::intptr_t>(read.const_data_ptr()));
    layout.push_back(read.numel());
  }
  return layout;
}

void FixedGraph::move(const AtomArrays &atoms)
{
  const torch::NoGradGuard no_autograd;
  positions_.narrow(0, 0, atoms.num_all).copy_(to_device_.positions(atoms), /*non_blocking=*/true);
}

FixedGraph::Step FixedGraph::step() const
{
  const torch::NoGradGuard no_autograd;
  const auto [distance_sq, r] = separations(positions_, centre_atoms_, neighbor_atoms_);
  const torch::Tensor is_near = distance_sq < cutoff_sq_;
  const std::int64_t padding_pair = is_near.size(0);
  const torch::Tensor kept =
      torch::nonzero_static(is_near, max_edges_, /*fill_value=*/padding_pair).squeeze(1);
  Step step;
  step.num_edges = is_near.sum();
  step.is_edge = kept < padding_pair;
  step.graph.types = step.graph.local_types = types_;
  step.graph.edge_index = ends_.index_select(1, kept);
  step.graph.edge_vectors = torch::cat({r, padding_vector_}).index_select(0, kept);
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
  for (const torch::Tensor &held : {positions_, centre_atoms_, neighbor_atoms_, cutoff_sq_, ends_})
    if (held.defined()) bytes += static_cast<double>(held.nbytes());
  return bytes;
}

}    // namespace mofmd
