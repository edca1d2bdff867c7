#define LANES 8
#include "dispersion/dispersion_kernel_body.h"

namespace mofmd {

const DispersionKernels avx512_dispersion = {count_neighbours, weigh_references, sum_pairs,
                                             add_chain_forces};

}    // namespace mofmd
