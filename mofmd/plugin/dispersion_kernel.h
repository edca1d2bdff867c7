// The D3 sums over the neighbours of a range of centres, compiled for several processors: each
// file dispersion_<processor>.cpp holds one set. Nothing of the standard library in here: what one
// of these files instantiates for its own processor must not be linked into another.

#ifndef MOFMD_DISPERSION_KERNEL_H
#define MOFMD_DISPERSION_KERNEL_H

#include "dispersion_terms.h"

#include <cstdint>

namespace mofmd {

constexpr int MOST_REFERENCES = 7;    // reference systems of an element
constexpr int MOST_LANES = 8;

// Sites first ... past - 1. Reading up to MOST_LANES - 1 sites beyond is allowed: they are atoms
// out of reach, or none.
struct SiteRange {
  std::int32_t first, past;
};

// Ranges of the sites of kind k that are near the centre c: items[first[c * num_kinds + k]] up to
// where the next one begins.
struct NearSites {
  const std::int64_t *first;
  const SiteRange *items;
};

// Atoms and ghosts as sites: those of a kind (an element) lie side by side, so that what depends on
// the kinds of a pair is the same for a run of sites. Centres are the owned atoms.
struct DispersionJob {
  int num_kinds;
  const std::int32_t *kind_begin;    // (num_kinds + 1) sites of a kind, filler sites included
  const std::int32_t *num_references;
  const double *reference_numbers;    // (num_kinds, MOST_REFERENCES) coordination numbers
  const double *c6;                   // (kinds, kinds, MOST_REFERENCES, MOST_REFERENCES) [eV Å6]
  const PairTerms *pairs;             // (num_kinds, num_kinds)
  SumRange energy_range, coordination_range;
  bool zero_damping;

  const double *x, *y, *z;    // of sites
  const std::int32_t *centre_site, *centre_kind;
  NearSites near, bonded;

  double *coordination;     // (centres)
  const double *of_site;    // CN of sites while pairs are summed, then dE/dCN
  // of sites: reference b of the site s of kind k at
  // MOST_REFERENCES kind_begin[k] + b (kind_begin[k + 1] - kind_begin[k]) + (s - kind_begin[k])
  double *weights;
  double *energy;             // (centres) [eV]
  double *by_coordination;    // (centres) dE/dCN
  double *force;              // (centres, 3)
  double *virial;             // (centres, 6), or nullptr
};

// Each works on centres (or sites) begin ... end - 1 and writes what belongs to them alone.
struct DispersionKernels {
  void (*count_neighbours)(const DispersionJob &, std::int64_t begin, std::int64_t end);
  void (*weigh_references)(const DispersionJob &, int kind, std::int64_t begin, std::int64_t end);
  void (*sum_pairs)(const DispersionJob &, std::int64_t begin, std::int64_t end);
  void (*add_chain_forces)(const DispersionJob &, std::int64_t begin, std::int64_t end);
};

extern const DispersionKernels plain_dispersion;
#if defined(__x86_64__)
extern const DispersionKernels avx2_dispersion;
extern const DispersionKernels avx512_dispersion;
#endif

}    // namespace mofmd

#endif
