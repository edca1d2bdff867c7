// The convolution of a message-passing layer on a CPU, in one go: for every edge e from the atom j
// to the centre i, and every path p that couples an irrep of the features with spherical harmonics,
//
//     out[i, u, m3] += w[e, u] * sum over m1, m2 of C[m1, m2, m3] * x[j, u, m1] * y[e, m2]
//
// where u counts the channels. A framework writes the messages of all edges to memory, several
// times over, before it sums them; here they stay in registers. Channels lie in the lanes of a
// vector. Free of torch's headers but for its threads.

#ifndef MOFMD_CONVOLUTION_KERNEL_H
#define MOFMD_CONVOLUTION_KERNEL_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mofmd {

// A path as the model's file tells it: offsets into a row, dimensions 2l + 1, channels.
struct ConvolutionPath {
  std::int64_t x, d1, y, d2, out, d3, w, channels;
  static constexpr int num_fields = 8;
};

// Everything of a convolution but its numbers.
struct ConvolutionShape {
  std::int64_t num_nodes = 0;    // rows of x and of out
  std::int64_t num_edges = 0;
  std::int64_t x_width = 0, y_width = 0, w_width = 0, out_width = 0;
  std::vector<ConvolutionPath> paths;
  const double *couplings = nullptr;    // C of every path, one after the other
  const std::int64_t *centres = nullptr;
  const std::int64_t *neighbours = nullptr;

  // Otherwise some have no path, and no kernel writes their derivatives.
  bool uses_all_weights() const
  {
    std::int64_t number = 0;
    for (const ConvolutionPath &path : paths) number += path.channels;
    return number >= w_width;
  }
};

// x (nodes, x_width), y (edges, y_width), w (edges, w_width) -> out (nodes, out_width)
template <typename T>
void convolve(const ConvolutionShape &shape, const T *x, const T *y, const T *w, T *out);

// The derivatives of a scalar with respect to x, y and w from those with respect to out.
template <typename T> void convolve_backward(const ConvolutionShape &shape, const T *out_gradient,
                                             const T *x, const T *y, const T *w, T *x_gradient,
                                             T *y_gradient, T *w_gradient);

}    // namespace mofmd

#endif
