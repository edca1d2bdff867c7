#include "graph/graph.h"

namespace mofmd {

std::int64_t Graph::add_node(const AtomArrays &atoms, int atom, int model_type)
{
  node_atom.push_back(atom);
  types.push_back(model_type);
  positions.insert(positions.end(), atoms.x[atom], atoms.x[atom] + 3);
  return atom_node_[atom] = num_nodes++;
}

void Graph::add_local_nodes(const AtomArrays &atoms, const TypeMap &map)
{
  num_nodes = 0;
  node_atom.clear();
  types.clear();
  positions.clear();
  atom_node_.assign(atoms.num_all, -1);
  for (int i = 0; i < atoms.num_local; ++i) {
    const int model_type = map.model_type[atoms.type[i]];
    if (model_type >= 0) add_node(atoms, i, model_type);
  }
  num_local_nodes = num_nodes;
}

void Graph::add_padding()
{
  node_atom.push_back(-1);
  types.push_back(0);
  positions.insert(positions.end(), 3, 0.0);
  num_local_nodes = ++num_nodes;
}

void Graph::build(const AtomArrays &atoms, const NeighborArrays &list, const TypeMap &map)
{
  add_local_nodes(atoms, map);
  edge_index.clear();    // holds row 0 until the number of edges is known
  neighbor_row_.clear();
  edge_vectors.clear();
  first_edge_.assign(num_local_nodes, 0);
  last_edge_.assign(num_local_nodes, 0);

  for (int ii = 0; ii < list.num_centres; ++ii) {
    const int i = list.centres[ii];
    const std::int64_t node_i = atom_node_[i];
    if (node_i < 0) continue;
    first_edge_[node_i] = static_cast<std::int64_t>(neighbor_row_.size());
    const int type_i = static_cast<int>(types[node_i]);
    const double *const xi = atoms.x[i];
    const int *const neighbors_of_i = list.neighbors[i];
    for (int jj = 0; jj < list.num_neighbors[i]; ++jj) {
      const int j = neighbors_of_i[jj] & list.index_mask;
      const int type_j = map.model_type[atoms.type[j]];
      if (type_j < 0) continue;
      const double *const xj = atoms.x[j];
      const double dx = xj[0] - xi[0], dy = xj[1] - xi[1], dz = xj[2] - xi[2];
      if (dx * dx + dy * dy + dz * dz >= map.cutoff_squared(type_i, type_j)) continue;
      const int node_atom_j = atoms.owner ? atoms.owner[j] : j;
      std::int64_t node_j = atom_node_[node_atom_j];
      if (node_j < 0) node_j = add_node(atoms, node_atom_j, type_j);
      edge_index.push_back(node_i);
      neighbor_row_.push_back(node_j);
      edge_vectors.insert(edge_vectors.end(), {dx, dy, dz});
    }
    last_edge_[node_i] = static_cast<std::int64_t>(neighbor_row_.size());
  }
  num_edges = static_cast<std::int64_t>(neighbor_row_.size());
  edge_index.insert(edge_index.end(), neighbor_row_.begin(), neighbor_row_.end());
}

void Graph::add_node_of(const Graph &whole, std::int64_t node)
{
  node_atom.push_back(whole.node_atom[node]);
  types.push_back(whole.types[node]);
  positions.insert(positions.end(), &whole.positions[3 * node], &whole.positions[3 * node] + 3);
  atom_node_[node] = num_nodes++;
}

void Graph::take_part(const Graph &whole, std::int64_t first, std::int64_t last)
{
  num_nodes = 0;
  node_atom.clear();
  types.clear();
  positions.clear();
  edge_index.clear();
  neighbor_row_.clear();
  edge_vectors.clear();
  atom_node_.assign(whole.num_nodes, -1);    // here: node of a node of the whole
  for (std::int64_t node = first; node < last; ++node) add_node_of(whole, node);
  num_local_nodes = num_nodes;
  for (std::int64_t node = first; node < last; ++node)
    for (std::int64_t e = whole.first_edge_[node]; e < whole.last_edge_[node]; ++e) {
      const std::int64_t neighbor = whole.neighbors()[e];
      if (atom_node_[neighbor] < 0) add_node_of(whole, neighbor);
      edge_index.push_back(node - first);
      neighbor_row_.push_back(atom_node_[neighbor]);
      edge_vectors.insert(edge_vectors.end(), &whole.edge_vectors[3 * e],
                          &whole.edge_vectors[3 * e] + 3);
    }
  num_edges = static_cast<std::int64_t>(neighbor_row_.size());
  edge_index.insert(edge_index.end(), neighbor_row_.begin(), neighbor_row_.end());
}

}    // namespace mofmd
