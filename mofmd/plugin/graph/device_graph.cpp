#include "graph/device_graph.h"

#include "graph/fixed_graph.h"
#include "graph/neighbor_pairs.h"

#include <algorithm>
#include <cmath>

namespace mofmd {

std::unique_ptr<ResidentGraph> make_resident_graph(const std::string &device, bool has_fixed_shapes)
{
  if (has_fixed_shapes) return std::make_unique<FixedGraph>(torch_device(device));
  return std::make_unique<DeviceGraph>(torch_device(device));
}

bool records_fixed_shapes(const std::string &device)
{
  return torch_device(device).is_cuda() && Recorder::can_record();
}

torch::Tensor DeviceGraph::indices(const std::vector<std::int64_t> &values) const
{
  return torch::tensor(values, torch::kLong).to(device_);
}

void DeviceGraph::rebuild(const AtomArrays &atoms, const NeighborArrays *list, const TypeMap &map,
                          double skin)
{
  const torch::NoGradGuard no_autograd;
  pairs_.positions = to_device_.positions(atoms);
  std::vector<std::int64_t> model_types(atoms.num_all);
  std::vector<double> cutoffs(map.cutoff_sq.size());
  std::transform(map.cutoff_sq.begin(), map.cutoff_sq.end(), cutoffs.begin(),
                 [](double squared) { return std::sqrt(squared); });
  for (int i = 0; i < atoms.num_all; ++i) model_types[i] = map.model_type[atoms.type[i]];
  const torch::Tensor types = indices(model_types);

  torch::Tensor centres, neighbors;
  if (list) {
    std::vector<std::int64_t> centre_of_pair, neighbor_of_pair;
    for (int ii = 0; ii < list->num_centres; ++ii) {
      const int i = list->centres[ii];
      for (int jj = 0; jj < list->num_neighbors[i]; ++jj) {
        const int j = list->neighbors[i][jj] & list->index_mask;
        if (model_types[i] < 0 || model_types[j] < 0) continue;
        centre_of_pair.push_back(i);
        neighbor_of_pair.push_back(j);
      }
    }
    torch::Tensor order;
    std::tie(centres, order) = indices(centre_of_pair).sort(/*stable=*/true, 0, false);
    neighbors = indices(neighbor_of_pair).index_select(0, order);
  } else {    // among the atoms that take part
    const torch::Tensor part = (types >= 0).nonzero().squeeze(1);
    const auto num_centres = static_cast<std::int64_t>(
        std::count_if(model_types.begin(), model_types.begin() + atoms.num_local,
                      [](std::int64_t type) { return type >= 0; }));
    const double largest =
        cutoffs.empty() ? 0.0 : *std::max_element(cutoffs.begin(), cutoffs.end());
    const auto [c, n] =
        neighbor_pairs(pairs_.positions.index_select(0, part), num_centres, largest + skin);
    centres = part.index_select(0, c);
    neighbors = part.index_select(0, n);
  }

  const torch::Tensor pair_types =
      types.index_select(0, centres) * map.num_model_types + types.index_select(0, neighbors);
  const torch::Tensor cutoff =
      torch::tensor(cutoffs, torch::kDouble).to(device_).index_select(0, pair_types);
  pairs_.centre_atoms = centres;
  pairs_.neighbor_atoms = neighbors;
  pairs_.cutoff_sq = (cutoff + skin).square();
  const torch::Tensor kept = find_near(pairs_).nonzero().squeeze(1);
  pairs_.centre_atoms = centres.index_select(0, kept);
  pairs_.neighbor_atoms = neighbors.index_select(0, kept);
  pairs_.cutoff_sq = torch::tensor(map.cutoff_sq, torch::kDouble)
                         .to(device_)
                         .index_select(0, pair_types.index_select(0, kept));
  set_nodes(atoms, model_types);
}

// Owned atoms that take part, then the ghosts that are in a pair.
void DeviceGraph::set_nodes(const AtomArrays &atoms, const std::vector<std::int64_t> &model_types)
{
  std::vector<std::int64_t> node_of_atom(atoms.num_all, -1), types;
  node_atom.clear();
  const auto add = [&](int atom) {
    node_of_atom[atom] = static_cast<std::int64_t>(node_atom.size());
    node_atom.push_back(atom);
    types.push_back(model_types[atom]);
  };
  for (int i = 0; i < atoms.num_local; ++i)
    if (model_types[i] >= 0) add(i);
  num_local_nodes = static_cast<std::int64_t>(node_atom.size());
  if (atoms.owner) {
    for (int i = atoms.num_local; i < atoms.num_all; ++i)
      node_of_atom[i] = node_of_atom[atoms.owner[i]];
  } else {
    torch::Tensor in_pair = torch::zeros({atoms.num_all}, torch::dtype(torch::kBool));
    in_pair = in_pair.to(device_).index_fill_(0, pairs_.neighbor_atoms, true).to(torch::kCPU);
    const bool *const is_node = in_pair.const_data_ptr<bool>();
    for (int i = atoms.num_local; i < atoms.num_all; ++i)
      if (is_node[i]) add(i);
  }
  num_nodes = static_cast<std::int64_t>(node_atom.size());
  types_ = indices(types);
  node_atoms_ = indices({node_atom.begin(), node_atom.end()});
  const torch::Tensor nodes = indices(node_of_atom);
  pairs_.ends = torch::stack(
      {nodes.index_select(0, pairs_.centre_atoms), nodes.index_select(0, pairs_.neighbor_atoms)});
}

void DeviceGraph::move(const AtomArrays &atoms)
{
  const torch::NoGradGuard no_autograd;
  pairs_.positions = to_device_.positions(atoms);
  edges_ = take_edges(pairs_, find_near(pairs_).nonzero().squeeze(1));
  num_edges = edges_.vectors.size(0);
}

void DeviceGraph::add_padding()
{
  node_atom.assign(1, -1);
  num_local_nodes = num_nodes = 1;
  types_ = torch::zeros({1}, types_.options());
  node_atoms_ = torch::zeros({1}, types_.options());
}

double DeviceGraph::memory() const
{
  double bytes = 0.0;
  for (const torch::Tensor &held :
       {pairs_.positions, pairs_.centre_atoms, pairs_.neighbor_atoms, pairs_.cutoff_sq, pairs_.ends,
        types_, node_atoms_, edges_.vectors, edges_.index})
    if (held.defined()) bytes += static_cast<double>(held.nbytes());
  return bytes;
}

GraphTensors DeviceGraph::tensors() const
{
  GraphTensors tensors;
  tensors.types = types_;
  tensors.local_types = types_.narrow(0, 0, num_local_nodes);
  tensors.edge_index = edges_.index;
  tensors.edge_vectors = edges_.vectors;
  tensors.atom_positions = pairs_.positions;
  tensors.node_atoms = node_atoms_;
  return tensors;
}

std::vector<GraphTensors> DeviceGraph::parts(std::int64_t size) const
{
  std::vector<std::int64_t> bounds;
  for (std::int64_t first = 0; first < num_local_nodes; first += size) bounds.push_back(first);
  bounds.push_back(num_local_nodes);
  const torch::Tensor edges =
      torch::searchsorted(edges_.index[0].contiguous(), indices(bounds)).to(torch::kCPU);
  const std::int64_t *const edge = edges.const_data_ptr<std::int64_t>();
  std::vector<GraphTensors> parts;
  for (std::size_t k = 0; k + 1 < bounds.size(); ++k) {
    GraphTensors part;
    part.types = types_.roll(-bounds[k]);
    part.local_types = part.types.narrow(0, 0, bounds[k + 1] - bounds[k]);
    part.edge_index =
        (edges_.index.slice(1, edge[k], edge[k + 1]) - bounds[k]).remainder(num_nodes);
    part.edge_vectors = edges_.vectors.slice(0, edge[k], edge[k + 1]);
    part.atom_positions = pairs_.positions;
    part.node_atoms = node_atoms_.roll(-bounds[k]);
    parts.push_back(part);
  }
  return parts;
}

}    // namespace mofmd
