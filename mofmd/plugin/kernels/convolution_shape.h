// What a convolution of a message-passing layer is, apart from its numbers: for every edge e from
// the atom j to the centre i, and every path p that couples an irrep of the features with spherical
// harmonics,
//
//     out[i, u, m3] += w[e, u] * sum over m1, m2 of C[m1, m2, m3] * x[j, u, m1] * y[e, m2]
//
// where u counts the channels. Free of torch and LAMMPS.

#ifndef MOFMD_CONVOLUTION_SHAPE_H
#define MOFMD_CONVOLUTION_SHAPE_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mofmd {

// A path as the model's file tells it: offsets into a row, dimensions 2l + 1, channels.
struct ConvolutionPath {
  std::int64_t x, d1, y, d2, out, d3, w, channels;
  static constexpr int num_fields = 8;
};

// Widths of the tables, and paths that stay within them.
struct ConvolutionShape {
  std::int64_t x_width = 0, y_width = 0, w_width = 0, out_width = 0;
  std::vector<ConvolutionPath> paths;

  // Nothing of a file is trusted: a wrong number in `fields`, those of one path after the other,
  // would be a read or a write outside of a table. Throws ModelError unless each path lies within
  // the tables; any two use the same block of x (of y, of out) or none in common; weights belong to
  // one path; and `num_couplings` are as many as the paths have.
  ConvolutionShape(const std::int64_t *fields, std::size_t num_fields, std::int64_t x_width,
                   std::int64_t y_width, std::int64_t w_width, std::int64_t out_width,
                   std::int64_t num_couplings);

  // Otherwise some have no path, and no kernel writes their derivatives.
  bool uses_all_weights() const;

  // The largest number of channels of a path, at least one.
  std::int64_t most_channels() const;
};

}    // namespace mofmd

#endif
