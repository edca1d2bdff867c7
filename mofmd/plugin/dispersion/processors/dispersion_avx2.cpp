#define LANES 4
#include "dispersion/dispersion_kernel_body.h"

namespace mofmd {

const DispersionKernels avx2_dispersion = {count_neighbours, weigh_references, sum_pairs,
                                           add_chain_forces};

}    // namespace mofmd
