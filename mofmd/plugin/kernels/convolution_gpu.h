// The convolution of a message-passing layer on a GPU, by kernels compiled for the layer.

#ifndef MOFMD_CONVOLUTION_GPU_H
#define MOFMD_CONVOLUTION_GPU_H

#include "gpu/gpu_program.h"
#include "kernels/convolution_shape.h"

#include <torch/types.h>

#include <tuple>

namespace mofmd {

class GpuConvolution {
public:
  // `program` is that of convolution_source(shape).
  GpuConvolution(const ConvolutionShape &shape, const GpuProgram &program, torch::Device device);

  // All tables are contiguous: x (nodes, x_width), y (edges, y_width), w (edges, w_width).
  torch::Tensor forward(const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
                        const torch::Tensor &centres, const torch::Tensor &neighbours) const;

  // Derivatives with respect to x, y and w.
  std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>
  backward(const torch::Tensor &gradient, const torch::Tensor &x, const torch::Tensor &y,
           const torch::Tensor &w, const torch::Tensor &centres,
           const torch::Tensor &neighbours) const;

private:
  GpuKernel forward_, backward_;
  std::int64_t out_width_, team_size_, channel_blocks_;
  std::int64_t num_processors_;
  bool uses_all_weights_;

  struct Work {
    GpuGrid grid;
    long long edges_each;
  };
  Work divide(std::int64_t num_edges, std::int64_t channel_blocks) const;
};

// The kernels for a layer with these couplings, which are on the GPU; compiled at the first call.
// nullptr where they cannot be: one warning says why.
const GpuConvolution *gpu_convolution(const ConvolutionShape &shape, const torch::Tensor &couplings,
                                      torch::ScalarType type);

}    // namespace mofmd

#endif
