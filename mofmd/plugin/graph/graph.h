// The graph of one rank: LAMMPS's neighbour arrays turned into the edge arrays that models take.
// Plain pointers in, reused buffers out; knows neither LAMMPS nor torch.

#ifndef MOFMD_GRAPH_H
#define MOFMD_GRAPH_H

#include <cstdint>
#include <vector>

namespace mofmd {

// Atoms of one rank as LAMMPS stores them: owned atoms first, then ghosts.
struct AtomArrays {
  int num_local;             // owned atoms
  int num_all;               // owned and ghost atoms
  const double *const *x;    // (num_all, 3) positions in LAMMPS's length unit
  const int *type;           // (num_all) LAMMPS type, from 1
  const int *owner;          // (num_all) owned atom of which this is a periodic image, or
                             // nullptr: then ghosts are nodes of their own
};

// A full neighbour list.
struct NeighborArrays {
  int num_centres;                // length of `centres`
  const int *centres;             // atom indices of the centres
  const int *num_neighbors;       // (num_all) neighbours of atom i
  const int *const *neighbors;    // (num_all, num_neighbors[i]) atom indices
  int index_mask;                 // LAMMPS keeps flags in the upper bits of an index
};

// Which LAMMPS type is which type of the model, and how far the model sees.
struct TypeMap {
  int num_model_types = 0;
  std::vector<int> model_type;      // (LAMMPS types + 1) model type, or -1: takes no part (NULL)
  std::vector<double> cutoff_sq;    // (num_model_types^2) [centre][neighbour], squared cutoff

  double cutoff_squared(int centre, int neighbor) const
  {
    return cutoff_sq[static_cast<std::size_t>(centre) * num_model_types + neighbor];
  }
};

// Node k stands for atom node_atom[k]; nodes of owned atoms come first, in the order of the atoms.
struct Nodes {
  std::int64_t num_nodes = 0;
  std::int64_t num_local_nodes = 0;
  std::int64_t num_edges = 0;
  std::vector<int> node_atom;    // (num_nodes), or -1: padding

  bool is_padding() const { return num_local_nodes == 1 && node_atom[0] < 0; }
};

//        centre i o----------> o neighbour j        r_ij = r_j - r_i
//
// The vector is taken between LAMMPS's own positions (j may be a ghost), in float64: triclinic
// cells, cells thinner than the cutoff and open boundaries need no special case.
struct Graph : Nodes {
  std::vector<std::int64_t> types;         // (num_nodes) model type
  std::vector<double> positions;           // (num_nodes, 3)
  std::vector<std::int64_t> edge_index;    // (2, num_edges) row 0 centre, row 1 neighbour
  std::vector<double> edge_vectors;        // (num_edges, 3) r_ij

  const std::int64_t *centres() const { return edge_index.data(); }
  const std::int64_t *neighbors() const { return edge_index.data() + num_edges; }

  void build(const AtomArrays &atoms, const NeighborArrays &list, const TypeMap &map);

  // The part of `whole` that owned nodes [first, last) need: they are the owned nodes of the part,
  // their neighbours its other nodes. Right for strictly local models only.
  void take_part(const Graph &whole, std::int64_t first, std::int64_t last);

  // An atom that is none, without neighbours: ranks without atoms take part in what ranks do
  // together, and models do not run on nothing.
  void add_padding();

private:
  std::vector<std::int64_t> atom_node_;    // (num_all) node of an atom, or -1
  std::vector<std::int64_t> neighbor_row_;
  std::vector<std::int64_t> first_edge_;    // (num_local_nodes) edges of a centre are contiguous
  std::vector<std::int64_t> last_edge_;

  void add_local_nodes(const AtomArrays &atoms, const TypeMap &map);
  std::int64_t add_node(const AtomArrays &atoms, int atom, int model_type);
  void add_node_of(const Graph &whole, std::int64_t node);
};

}    // namespace mofmd

#endif
