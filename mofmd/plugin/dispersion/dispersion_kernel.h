// The D3 sums over the neighbours of a range of centres, compiled for several processors: each
// file dispersion_<processor>.cpp holds one set. Nothing of the standard library in here: what one
// of these files instantiates for its own processor must not be linked into another.

#ifndef MOFMD_DISPERSION_KERNEL_H
#define MOFMD_DISPERSION_KERNEL_H

#include "dispersion/dispersion_terms.h"

#include <cstdint>

namespace mofmd {

constexpr int MOST_LANES = 8;

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
