// sources: graph/graph.cpp
#include "check.h"

#include "graph/graph.h"

#include <cmath>
#include <random>
#include <tuple>

using namespace mofmd;

namespace {

constexpr int FLAG = 1 << 30;    // what LAMMPS keeps in the upper bits of a neighbour's index

// Atoms in a periodic box, their images within `reach` as ghosts, and a neighbour list that is
// longer than any cutoff, as LAMMPS's with its skin.
struct Box {
  std::vector<double> x;
  std::vector<int> type, owner, num_neighbors, centres;
  std::vector<const double *> rows;
  std::vector<std::vector<int>> neighbors;
  std::vector<const int *> lists;
  int num_local;

  Box(int atoms, double length, double reach, int types) : num_local(atoms)
  {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> place(0.0, length);
    for (int i = 0; i < atoms; ++i) {
      for (int axis = 0; axis < 3; ++axis) x.push_back(place(random));
      type.push_back(1 + i % types);
      owner.push_back(i);
      centres.push_back(atoms - 1 - i);    // in another order than the atoms
    }
    for (int image = 0; image < 27; ++image) {
      const double shift[3] = {length * (image / 9 - 1), length * (image / 3 % 3 - 1),
                               length * (image % 3 - 1)};
      for (int i = 0; i < atoms && image != 13; ++i) {
        double ghost[3];
        bool is_near = true;
        for (int axis = 0; axis < 3; ++axis) {
          ghost[axis] = x[3 * i + axis] + shift[axis];
          is_near = is_near && ghost[axis] > -reach && ghost[axis] < length + reach;
        }
        if (!is_near) continue;
        x.insert(x.end(), ghost, ghost + 3);
        type.push_back(type[i]);
        owner.push_back(i);
      }
    }
    const int all = static_cast<int>(type.size());
    for (int i = 0; i < all; ++i) rows.push_back(&x[3 * static_cast<std::size_t>(i)]);
    for (int i = 0; i < all; ++i) {
      std::vector<int> near;
      for (int j = 0; j < all && i < atoms; ++j)
        if (j != i && distance(i, j) < reach) near.push_back(j % 3 ? j : j | FLAG);
      num_neighbors.push_back(static_cast<int>(near.size()));
      neighbors.push_back(near);
    }
    for (const std::vector<int> &near : neighbors) lists.push_back(near.data());
  }

  double distance(int i, int j) const
  {
    double sum = 0.0;
    for (int axis = 0; axis < 3; ++axis) sum += std::pow(rows[j][axis] - rows[i][axis], 2);
    return std::sqrt(sum);
  }
  AtomArrays atoms(bool has_owners) const
  {
    return {num_local, static_cast<int>(type.size()), rows.data(), type.data(),
            has_owners ? owner.data() : nullptr};
  }
  NeighborArrays list() const
  {
    return {num_local, centres.data(), num_neighbors.data(), lists.data(), FLAG - 1};
  }
};

// LAMMPS types 1, 2, 3 are model types 1, none, 0; a centre of type 0 sees neighbours of type 1
// farther than they see it.
TypeMap map_of_types()
{
  TypeMap map;
  map.num_model_types = 2;
  map.model_type = {-1, 1, -1, 0};
  map.cutoff_sq = {2.0 * 2.0, 2.9 * 2.9, 2.5 * 2.5, 2.2 * 2.2};
  return map;
}

using Edge = std::tuple<int, int, int, int, int>;    // centre, neighbour, vector in 1e-9

Edge edge(int i, int j, const double *vector)
{
  const auto grid = [&](int axis) { return static_cast<int>(std::lround(vector[axis] * 1e8)); };
  return {i, j, grid(0), grid(1), grid(2)};
}

std::map<Edge, int> edges_of(const Graph &graph)
{
  std::map<Edge, int> found;
  for (std::int64_t e = 0; e < graph.num_edges; ++e)
    ++found[edge(graph.node_atom[graph.centres()[e]], graph.node_atom[graph.neighbors()[e]],
                 &graph.edge_vectors[3 * e])];
  return found;
}

// From all pairs of atoms, by the definition.
std::map<Edge, int> expected_edges(const Box &box, const TypeMap &map, bool has_owners)
{
  std::map<Edge, int> found;
  for (int i = 0; i < box.num_local; ++i)
    for (int j = 0; j < static_cast<int>(box.type.size()); ++j) {
      const int a = map.model_type[box.type[i]], b = map.model_type[box.type[j]];
      if (i == j || a < 0 || b < 0) continue;
      if (std::pow(box.distance(i, j), 2) >= map.cutoff_squared(a, b)) continue;
      double vector[3];
      for (int axis = 0; axis < 3; ++axis) vector[axis] = box.rows[j][axis] - box.rows[i][axis];
      ++found[edge(i, has_owners ? box.owner[j] : j, vector)];
    }
  return found;
}

}    // namespace

TEST(edges_are_the_pairs_within_the_cutoff_of_their_types)
{
  const Box box(40, 5.0, 3.5, 3);
  const TypeMap map = map_of_types();
  for (const bool has_owners : {true, false}) {
    Graph graph;
    for (int time = 0; time < 2; ++time) graph.build(box.atoms(has_owners), box.list(), map);
    const std::map<Edge, int> expected = expected_edges(box, map, has_owners);
    EQUAL(expected.size() > 200, true);
    EQUAL(edges_of(graph) == expected, true);
    EQUAL(graph.edge_index.size(), 2 * static_cast<std::size_t>(graph.num_edges));
  }
}

TEST(nodes_are_owned_atoms_then_the_ghosts_that_edges_reach)
{
  const Box box(40, 5.0, 3.5, 3);
  const TypeMap map = map_of_types();
  Graph graph;
  graph.build(box.atoms(true), box.list(), map);
  EQUAL(graph.num_nodes, graph.num_local_nodes);    // images are their owners
  graph.build(box.atoms(false), box.list(), map);
  std::int64_t node = 0;
  for (int i = 0; i < box.num_local; ++i)
    if (map.model_type[box.type[i]] >= 0) EQUAL(graph.node_atom[node++], i);
  EQUAL(graph.num_local_nodes, node);
  std::map<int, int> times;
  for (std::int64_t e = 0; e < graph.num_edges; ++e) ++times[graph.node_atom[graph.neighbors()[e]]];
  for (; node < graph.num_nodes; ++node) EQUAL(times.count(graph.node_atom[node]), 1u);
  for (node = 0; node < graph.num_nodes; ++node) {
    const int atom = graph.node_atom[node];
    EQUAL(graph.types[node], map.model_type[box.type[atom]]);
    for (int axis = 0; axis < 3; ++axis)
      EQUAL(graph.positions[3 * node + axis], box.rows[atom][axis]);
  }
}

TEST(parts_have_the_edges_of_their_centres)
{
  const Box box(40, 5.0, 3.5, 3);
  const TypeMap map = map_of_types();
  Graph whole, part;
  whole.build(box.atoms(true), box.list(), map);
  std::map<Edge, int> found;
  for (std::int64_t first = 0; first < whole.num_local_nodes; first += 7) {
    const std::int64_t last = std::min(first + 7, whole.num_local_nodes);
    part.take_part(whole, first, last);
    EQUAL(part.num_local_nodes, last - first);
    for (std::int64_t node = 0; node < part.num_local_nodes; ++node)
      EQUAL(part.node_atom[node], whole.node_atom[first + node]);
    for (const auto &[of_part, count] : edges_of(part)) found[of_part] += count;
    std::map<std::int64_t, int> times;
    for (std::int64_t e = 0; e < part.num_edges; ++e) {
      EQUAL(part.centres()[e] < part.num_local_nodes, true);
      ++times[part.neighbors()[e]];
    }
    for (std::int64_t node = part.num_local_nodes; node < part.num_nodes; ++node)
      EQUAL(times.count(node), 1u);    // no node without an edge
  }
  EQUAL(found == edges_of(whole), true);
}

TEST(a_rank_without_atoms_gets_one_that_is_none)
{
  const Box box(0, 5.0, 3.5, 3);
  Graph graph;
  graph.build(box.atoms(false), box.list(), map_of_types());
  EQUAL(graph.num_nodes, 0);
  EQUAL(graph.num_edges, 0);
  EQUAL(graph.is_padding(), false);
  graph.add_padding();
  EQUAL(graph.is_padding(), true);
  EQUAL(graph.num_local_nodes, 1);
  EQUAL(graph.num_nodes, 1);
  EQUAL(graph.positions.size(), 3u);
  const Box full(40, 5.0, 3.5, 3);    // atoms come: the padding goes
  graph.build(full.atoms(false), full.list(), map_of_types());
  EQUAL(graph.is_padding(), false);
  EQUAL(edges_of(graph) == expected_edges(full, map_of_types(), false), true);
}
