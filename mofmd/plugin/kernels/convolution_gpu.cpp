#include "kernels/convolution_gpu.h"

#include "base/made_once.h"
#include "kernels/convolution_source.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace mofmd {

namespace {

  // A team that takes more edges hands its sums over less often; but there must be teams enough for
  // all of the GPU.
  constexpr std::int64_t fewest_edges = 4, most_edges = 32, threads_per_processor = 1024;

  const void *indices_of(const torch::Tensor &indices)
  {
    return indices.const_data_ptr<std::int64_t>();
  }

}    // namespace

GpuConvolution::GpuConvolution(const ConvolutionShape &shape, const GpuProgram &program,
                               torch::Device device) :
    forward_(program.kernel("forward")),
    backward_(program.kernel("backward")),
    out_width_(shape.out_width),
    team_size_(team_size(shape)),
    channel_blocks_((shape.most_channels() + team_size_ - 1) / team_size_),
    num_processors_(num_multiprocessors(device)),
    uses_all_weights_(shape.uses_all_weights())
{
}

GpuConvolution::Work GpuConvolution::divide(std::int64_t num_edges,
                                            std::int64_t channel_blocks) const
{
  const std::int64_t threads = num_edges * team_size_ * channel_blocks;
  const std::int64_t each =
      std::clamp(threads / (threads_per_processor * num_processors_), fewest_edges, most_edges);
  const std::int64_t teams_per_block = threads_per_block / team_size_;
  const std::int64_t edges_per_block = each * teams_per_block;
  const std::int64_t blocks = (num_edges + edges_per_block - 1) / edges_per_block;
  return {{static_cast<unsigned>(blocks), static_cast<unsigned>(channel_blocks),
           static_cast<unsigned>(threads_per_block)},
          static_cast<long long>(each)};
}

torch::Tensor GpuConvolution::forward(const torch::Tensor &x, const torch::Tensor &y,
                                      const torch::Tensor &w, const torch::Tensor &centres,
                                      const torch::Tensor &neighbours) const
{
  torch::Tensor out = torch::zeros({x.size(0), out_width_}, x.options());
  if (centres.size(0) == 0) return out;
  const void *tables[] = {x.const_data_ptr(), y.const_data_ptr(), w.const_data_ptr(),
                          out.data_ptr()};
  const void *ends[] = {indices_of(centres), indices_of(neighbours)};
  long long num_nodes = x.size(0), num_edges = centres.size(0);
  Work work = divide(num_edges, channel_blocks_);
  void *arguments[] = {&tables[0], &tables[1], &tables[2], &tables[3],      &ends[0],
                       &ends[1],   &num_nodes, &num_edges, &work.edges_each};
  forward_.launch(work.grid, arguments);
  return out;
}

std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>
GpuConvolution::backward(const torch::Tensor &gradient, const torch::Tensor &x,
                         const torch::Tensor &y, const torch::Tensor &w,
                         const torch::Tensor &centres, const torch::Tensor &neighbours) const
{
  torch::Tensor of_x = torch::zeros_like(x), of_y = torch::empty_like(y),
                of_w = uses_all_weights_ ? torch::empty_like(w) : torch::zeros_like(w);
  if (centres.size(0) == 0) return {of_x, of_y, of_w};
  const void *tables[] = {
      gradient.const_data_ptr(), x.const_data_ptr(), y.const_data_ptr(), w.const_data_ptr(),
      of_x.data_ptr(),           of_y.data_ptr(),    of_w.data_ptr()};
  const void *ends[] = {indices_of(centres), indices_of(neighbours)};
  long long num_nodes = x.size(0), num_edges = centres.size(0);
  Work work = divide(num_edges, 1);    // a team sums over all channels
  void *arguments[] = {&tables[0], &tables[1], &tables[2], &tables[3],
                       &tables[4], &tables[5], &tables[6], &ends[0],
                       &ends[1],   &num_nodes, &num_edges, &work.edges_each};
  backward_.launch(work.grid, arguments);
  return {of_x, of_y, of_w};
}

const GpuConvolution *gpu_convolution(const ConvolutionShape &shape, const torch::Tensor &couplings,
                                      torch::ScalarType type)
{
  // Layers of a model are known by where their couplings lie, which is kept so that nothing else
  // comes to lie there; equal layers share a program.
  struct Layer {
    torch::Tensor couplings;
    std::unique_ptr<GpuConvolution> kernels;
  };
  using Key = std::vector<std::int64_t>;
  static auto &layers = *new MadeOnce<Key, Layer>;

  const torch::Device device = couplings.device();
  Key key{reinterpret_cast<std::intptr_t>(couplings.const_data_ptr()),
          device.index(),
          static_cast<std::int64_t>(type),
          shape.x_width,
          shape.y_width,
          shape.w_width,
          shape.out_width};
  for (const ConvolutionPath &p : shape.paths)
    key.insert(key.end(), {p.x, p.d1, p.y, p.d2, p.out, p.d3, p.w, p.channels});
  const Layer &layer = layers.get(key, [&]() -> Layer {
    const torch::Tensor on_host = couplings.to(torch::kCPU, torch::kDouble).contiguous();
    const GpuProgram *const program =
        gpu_program(device_functions(type == torch::kDouble, team_size(shape)) +
                        convolution_source(shape, on_host.const_data_ptr<double>()),
                    device,
                    "convolutions are done by torch's own operators, which is slower and takes "
                    "more memory");
    if (!program) return {couplings, nullptr};
    return {couplings, std::make_unique<GpuConvolution>(shape, *program, device)};
  });
  return layer.kernels.get();
}

}    // namespace mofmd
