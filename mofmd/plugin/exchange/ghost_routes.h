// Which atoms' rows travel between ranks. LAMMPS has ghosts as far out as any style wants them
// (pair style d3: 15 A); a model needs those that are nodes of its graph. They are marked, and the
// marks go back the way that ghosts came: a ghost that is handed on to a third rank is marked by
// that one.

#ifndef MOFMD_GHOST_ROUTES_H
#define MOFMD_GHOST_ROUTES_H

#include <map>
#include <vector>

namespace mofmd {

class GhostRoutes {
public:
  // Begins anew. Then `mark` the ghosts that are needed here, and let LAMMPS's reverse
  // communication call the other two, with one double an atom.
  void clear(int num_atoms);
  void mark(int atom) { is_marked_[atom] = 1; }
  int pack_marks(int n, int first, double *buf) const;
  void unpack_marks(int n, const int *list, const double *buf);

  // Of the atoms that LAMMPS would send from `list`, or receive from `first` on: those that travel.
  const std::vector<int> &sent(const int *list) const { return sent_.at(list); }
  template <typename Act> void for_received(int n, int first, Act act) const
  {
    for (int i = first; i < first + n; ++i)
      if (is_marked_[i]) act(i);
  }
  template <typename Act> void for_all(Act act) const    // owned atoms and ghosts that travel
  {
    for_received(static_cast<int>(is_marked_.size()), 0, act);
  }
  bool is_marked(int atom) const { return is_marked_[atom]; }

private:
  std::vector<char> is_marked_;                     // (owned and ghost atoms)
  std::map<const int *, std::vector<int>> sent_;    // by LAMMPS's list of a message
};

}    // namespace mofmd

#endif
