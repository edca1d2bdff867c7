// Atoms and ghosts sorted in space, so that the neighbourhood of an atom is a few runs of them:
//
//     y ^  [ z ------------> ]  [ z ------------> ]  ...      columns of the sites of one element
//
// A run is cut out of a column to the exact height, so that columns may be narrow: fewer sites that
// are too far. Runs stay right until an atom has moved half the skin. Free of LAMMPS and torch.

#ifndef MOFMD_DISPERSION_SITES_H
#define MOFMD_DISPERSION_SITES_H

#include "dispersion/dispersion_kernel.h"
#include "graph/graph.h"

#include <vector>

namespace mofmd {

class DispersionSites {
public:
  // Sorts the atoms of kinds 0 ... num_kinds - 1 (-1: takes no part) and finds the sites within
  // `reach` and `bonded_reach` of owned ones; `lanes` are looked at together.
  void rebuild(const AtomArrays &atoms, const std::vector<int> &kind_of_type, int num_kinds,
               double reach, double bonded_reach, int lanes);

  // Takes over new positions of the same atoms.
  void move(const double *const *x);

  std::vector<int> kind_begin;      // (num_kinds + 1), multiples of MOST_LANES
  std::vector<double> x, y, z;      // of sites; filler sites are far away
  std::vector<int> sites, atoms;    // the sites that are atoms, and which ones
  std::vector<int> centre_site, centre_kind, centre_atom;

  int num_centres() const { return static_cast<int>(centre_site.size()); }
  NearSites near() const { return {near_.first.data(), near_.ranges.data()}; }
  NearSites bonded() const { return {bonded_.first.data(), bonded_.ranges.data()}; }
  double memory() const;    // bytes

private:
  struct Columns {    // of one kind
    double origin[2], side;
    int number[2];
    std::vector<int> begin, end;    // sites of a column
  };
  struct Lists {
    std::vector<long long> first;
    std::vector<SiteRange> ranges;
  };
  std::vector<Columns> columns_;    // by kind
  Lists near_, bonded_;

  Columns sort_into_columns(const AtomArrays &atoms, const std::vector<int> &members, int kind,
                            double reach, int lanes);
  void add_site(const double *position);
  void find_near(double reach, Lists &lists) const;
};

}    // namespace mofmd

#endif
