// The convolution of a message-passing layer (convolution_shape.h) on a CPU, in one go. A framework
// writes the messages of all edges to memory, several times over, before it sums them; here they
// stay in registers. Channels lie in the lanes of a vector. Free of torch's headers but for its
// threads.

#ifndef MOFMD_CONVOLUTION_KERNEL_H
#define MOFMD_CONVOLUTION_KERNEL_H

#include "kernels/convolution_shape.h"

#include <cstdint>

namespace mofmd {

// What a convolution goes over. Edges have their ends among the nodes.
struct ConvolutionGraph {
  std::int64_t num_nodes = 0;    // rows of x and of out
  std::int64_t num_edges = 0;    // rows of y and of w
  const std::int64_t *centres = nullptr;
  const std::int64_t *neighbours = nullptr;
};

// `couplings`: C of every path, one after the other.
// x (nodes, x_width), y (edges, y_width), w (edges, w_width) -> out (nodes, out_width)
template <typename T> void convolve(const ConvolutionShape &shape, const double *couplings,
                                    const ConvolutionGraph &graph, const T *x, const T *y,
                                    const T *w, T *out);

// The derivatives of a scalar with respect to x, y and w from those with respect to out.
template <typename T> void convolve_backward(const ConvolutionShape &shape, const double *couplings,
                                             const ConvolutionGraph &graph, const T *out_gradient,
                                             const T *x, const T *y, const T *w, T *x_gradient,
                                             T *y_gradient, T *w_gradient);

}    // namespace mofmd

#endif
