// Pairs of points that are close, found with torch's operations on any device: no compiler for
// GPUs is needed where the plugin is built.

#ifndef MOFMD_NEIGHBOR_PAIRS_H
#define MOFMD_NEIGHBOR_PAIRS_H

#include <torch/types.h>

#include <utility>

namespace mofmd {

// All pairs of one of the first `num_centres` points and another point (ghosts included) closer
// than `cutoff`: indices of centres, in ascending order, and of neighbours, both (P,) int64.
// points: (n, 3) float64. Space is open: periodic images are points of their own.
std::pair<torch::Tensor, torch::Tensor> neighbor_pairs(const torch::Tensor &points,
                                                       std::int64_t num_centres, double cutoff);

}    // namespace mofmd

#endif
