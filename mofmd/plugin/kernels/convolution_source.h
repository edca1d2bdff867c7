// The convolution of a message-passing layer as CUDA C++, written for the paths and couplings of
// one layer: every loop over components is unrolled, every coupling that is zero left out. Free of
// torch's and CUDA's headers.

#ifndef MOFMD_CONVOLUTION_SOURCE_H
#define MOFMD_CONVOLUTION_SOURCE_H

#include "kernels/convolution_shape.h"

#include <string>

namespace mofmd {

// Two kernels, `forward` and `backward`. A team of threads, a channel each, takes a run of edges;
// messages to a centre stay in registers until the centre changes, so that edges in the order of
// their centres are fast, and edges in any order right. What they need of a device is in
// `device_functions` (gpu_program.h); with functions of the same names the text is C++ for any
// processor. `couplings`: C of every path, one after the other.
std::string convolution_source(const ConvolutionShape &shape, const double *couplings);

// Threads of a team: a power of two, as many as there are channels, and no more than a warp has.
std::int64_t team_size(const ConvolutionShape &shape);

}    // namespace mofmd

#endif
