// The torch operator mofmd::convolve: the convolution of a message-passing layer, with kernels of
// its own on CPUs and on NVIDIA's GPUs and composed of torch's operators on any other device. The
// same definition in Python, for export: mofmd/models/export/convolution.py.

#include "base/model_error.h"
#include "kernels/convolution_gpu.h"
#include "kernels/convolution_kernel.h"
#include "kernels/convolution_source.h"

#include <c10/core/DeviceGuard.h>
#include <torch/library.h>
#include <torch/types.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace mofmd {

namespace {

  using Gradients = std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>;

  void require(bool holds, const std::string &what)
  {
    if (!holds) throw ModelError("mofmd::convolve: " + what);
  }

  // What a call of the operator is about, checked. Indices are checked where they are used.
  ConvolutionShape shape_of(const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
                            const torch::Tensor &centres, const torch::Tensor &neighbours,
                            const torch::Tensor &couplings, at::IntArrayRef paths,
                            std::int64_t out_width)
  {
    require(x.dim() == 2 && y.dim() == 2 && w.dim() == 2 && couplings.dim() == 1,
            "takes tables with a row per atom or per edge");
    require(x.scalar_type() == y.scalar_type() && x.scalar_type() == w.scalar_type(),
            "takes tables of the same precision");
    require(centres.dim() == 1 && centres.sizes() == neighbours.sizes() &&
                y.size(0) == centres.size(0) && w.size(0) == centres.size(0),
            "takes as many centres, neighbours, harmonics and weights as there are edges");
    require(centres.scalar_type() == torch::kLong && neighbours.scalar_type() == torch::kLong,
            "takes 64-bit indices");
    for (const torch::Tensor *const other : {&y, &w, &centres, &neighbours, &couplings})
      require(other->device() == x.device(), "takes tables of the same device");
    return {paths.data(), paths.size(), x.size(1),        y.size(1),
            w.size(1),    out_width,    couplings.size(0)};
  }

  // The same of a call of its derivative.
  ConvolutionShape shape_of_backward(const torch::Tensor &gradient, const torch::Tensor &x,
                                     const torch::Tensor &y, const torch::Tensor &w,
                                     const torch::Tensor &centres, const torch::Tensor &neighbours,
                                     const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    require(gradient.dim() == 2 && x.dim() == 2 && gradient.size(0) == x.size(0) &&
                gradient.device() == x.device(),
            "takes gradients with a row per atom");
    return shape_of(x, y, w, centres, neighbours, couplings, paths, gradient.size(1));
  }

  // ---- on CPUs
  // -------------------------------------------------------------------------------------

  void check_indices(const torch::Tensor &indices, std::int64_t num_nodes)
  {
    const auto *const first = indices.const_data_ptr<std::int64_t>();
    const auto *const past = first + indices.numel();
    require(
        std::all_of(first, past, [num_nodes](std::int64_t k) { return k >= 0 && k < num_nodes; }),
        "an edge of an atom that does not exist");
  }

  // What the kernel takes, and what keeps it alive.
  struct KernelArguments {
    const ConvolutionShape shape;
    const torch::Tensor x, y, w, centres, neighbours, couplings;

    KernelArguments(ConvolutionShape shape_, const torch::Tensor &x_, const torch::Tensor &y_,
                    const torch::Tensor &w_, const torch::Tensor &centres_,
                    const torch::Tensor &neighbours_, const torch::Tensor &couplings_) :
        shape(std::move(shape_)),
        x(x_.contiguous()),
        y(y_.contiguous()),
        w(w_.contiguous()),
        centres(centres_.contiguous()),
        neighbours(neighbours_.contiguous()),
        couplings(couplings_.to(torch::kDouble).contiguous())
    {
      check_indices(centres, x.size(0));
      check_indices(neighbours, x.size(0));
    }

    const double *c() const { return couplings.const_data_ptr<double>(); }
    ConvolutionGraph graph() const
    {
      return {x.size(0), centres.size(0), centres.const_data_ptr<std::int64_t>(),
              neighbours.const_data_ptr<std::int64_t>()};
    }
  };

  torch::Tensor convolve_cpu(const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
                             const torch::Tensor &centres, const torch::Tensor &neighbours,
                             const torch::Tensor &couplings, at::IntArrayRef paths,
                             std::int64_t out_width)
  {
    const KernelArguments a(shape_of(x, y, w, centres, neighbours, couplings, paths, out_width), x,
                            y, w, centres, neighbours, couplings);
    torch::Tensor out = torch::zeros({x.size(0), out_width}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mofmd::convolve", [&] {
      convolve(a.shape, a.c(), a.graph(), a.x.const_data_ptr<scalar_t>(),
               a.y.const_data_ptr<scalar_t>(), a.w.const_data_ptr<scalar_t>(),
               out.data_ptr<scalar_t>());
    });
    return out;
  }

  Gradients convolve_backward_cpu(const torch::Tensor &gradient, const torch::Tensor &x,
                                  const torch::Tensor &y, const torch::Tensor &w,
                                  const torch::Tensor &centres, const torch::Tensor &neighbours,
                                  const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    const KernelArguments a(
        shape_of_backward(gradient, x, y, w, centres, neighbours, couplings, paths), x, y, w,
        centres, neighbours, couplings);
    const torch::Tensor out_gradient = gradient.to(x.scalar_type()).contiguous();
    Gradients result{torch::zeros_like(a.x), torch::empty_like(a.y), torch::empty_like(a.w)};
    if (!a.shape.uses_all_weights()) std::get<2>(result).zero_();
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mofmd::convolve_backward", [&] {
      convolve_backward(a.shape, a.c(), a.graph(), out_gradient.const_data_ptr<scalar_t>(),
                        a.x.const_data_ptr<scalar_t>(), a.y.const_data_ptr<scalar_t>(),
                        a.w.const_data_ptr<scalar_t>(),
                        std::get<0>(result).template data_ptr<scalar_t>(),
                        std::get<1>(result).template data_ptr<scalar_t>(),
                        std::get<2>(result).template data_ptr<scalar_t>());
    });
    return result;
  }

  // ---- on other devices
  // ----------------------------------------------------------------------------

  // Edges at a time, so that the messages of all edges are never in memory together.
  constexpr std::int64_t edges_at_a_time = 1 << 18;

  // Calls visit(part of the edges, path, its couplings) for every part and path.
  template <typename Visit> void for_parts(const torch::Tensor &x, const torch::Tensor &centres,
                                           const torch::Tensor &couplings,
                                           const std::vector<ConvolutionPath> &paths, Visit visit)
  {
    const torch::Tensor all = couplings.to(x.options());
    for (std::int64_t first = 0; first < centres.size(0); first += edges_at_a_time) {
      const std::int64_t count = std::min(edges_at_a_time, centres.size(0) - first);
      std::int64_t offset = 0;
      for (const ConvolutionPath &p : paths) {
        const std::int64_t size = p.d1 * p.d2 * p.d3;
        visit(first, count, p, all.narrow(0, offset, size).view({p.d1, p.d2, p.d3}));
        offset += size;
      }
    }
  }

  torch::Tensor rows_of(const torch::Tensor &table, std::int64_t offset, std::int64_t channels,
                        std::int64_t dimension, const torch::Tensor &indices)
  {
    return table.narrow(1, offset, channels * dimension)
        .index_select(0, indices)
        .view({-1, channels, dimension});
  }

  torch::Tensor convolve_composed(const torch::Tensor &x, const torch::Tensor &y,
                                  const torch::Tensor &w, const torch::Tensor &centres,
                                  const torch::Tensor &neighbours, const torch::Tensor &couplings,
                                  at::IntArrayRef paths, std::int64_t out_width)
  {
    const ConvolutionShape shape =
        shape_of(x, y, w, centres, neighbours, couplings, paths, out_width);
    torch::Tensor out = torch::zeros({x.size(0), out_width}, x.options());
    for_parts(x, centres, couplings, shape.paths,
              [&](std::int64_t first, std::int64_t count, const ConvolutionPath &p,
                  const torch::Tensor &c) {
                const torch::Tensor wx =
                    rows_of(x, p.x, p.channels, p.d1, neighbours.narrow(0, first, count)) *
                    w.narrow(0, first, count).narrow(1, p.w, p.channels).unsqueeze(2);
                const torch::Tensor yc =
                    torch::tensordot(y.narrow(0, first, count).narrow(1, p.y, p.d2), c, {1}, {1});
                out.narrow(1, p.out, p.channels * p.d3)
                    .index_add_(0, centres.narrow(0, first, count), torch::bmm(wx, yc).flatten(1));
              });
    return out;
  }

  Gradients convolve_backward_composed(const torch::Tensor &gradient, const torch::Tensor &x,
                                       const torch::Tensor &y, const torch::Tensor &w,
                                       const torch::Tensor &centres,
                                       const torch::Tensor &neighbours,
                                       const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    const ConvolutionShape shape =
        shape_of_backward(gradient, x, y, w, centres, neighbours, couplings, paths);
    torch::Tensor x_gradient = torch::zeros_like(x), y_gradient = torch::zeros_like(y),
                  w_gradient = torch::zeros_like(w);
    for_parts(
        x, centres, couplings, shape.paths,
        [&](std::int64_t first, std::int64_t count, const ConvolutionPath &p,
            const torch::Tensor &c) {
          const torch::Tensor senders = neighbours.narrow(0, first, count);
          const torch::Tensor xs = rows_of(x, p.x, p.channels, p.d1, senders);
          const torch::Tensor ws =
              w.narrow(0, first, count).narrow(1, p.w, p.channels).unsqueeze(2);
          const torch::Tensor gs =
              rows_of(gradient, p.out, p.channels, p.d3, centres.narrow(0, first, count));
          const torch::Tensor yc =
              torch::tensordot(y.narrow(0, first, count).narrow(1, p.y, p.d2), c, {1}, {1});
          y_gradient.narrow(0, first, count)
              .narrow(1, p.y, p.d2)
              .add_(torch::tensordot(torch::bmm((xs * ws).transpose(1, 2), gs), c, {1, 2}, {0, 2}));
          const torch::Tensor wx_gradient = torch::bmm(gs, yc.transpose(1, 2));
          w_gradient.narrow(0, first, count)
              .narrow(1, p.w, p.channels)
              .add_((wx_gradient * xs).sum(2));
          x_gradient.narrow(1, p.x, p.channels * p.d1)
              .index_add_(0, senders, (wx_gradient * ws).flatten(1));
        });
    return {x_gradient, y_gradient, w_gradient};
  }

  // ---- on NVIDIA's GPUs
  // -----------------------------------------------------------------------------

  torch::Tensor convolve_gpu(const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
                             const torch::Tensor &centres, const torch::Tensor &neighbours,
                             const torch::Tensor &couplings, at::IntArrayRef paths,
                             std::int64_t out_width)
  {
    const c10::DeviceGuard guard(x.device());
    const ConvolutionShape shape =
        shape_of(x, y, w, centres, neighbours, couplings, paths, out_width);
    const GpuConvolution *const kernels = gpu_convolution(shape, couplings, x.scalar_type());
    if (!kernels)
      return convolve_composed(x, y, w, centres, neighbours, couplings, paths, out_width);
    return kernels->forward(x.contiguous(), y.contiguous(), w.contiguous(), centres.contiguous(),
                            neighbours.contiguous());
  }

  Gradients convolve_backward_gpu(const torch::Tensor &gradient, const torch::Tensor &x,
                                  const torch::Tensor &y, const torch::Tensor &w,
                                  const torch::Tensor &centres, const torch::Tensor &neighbours,
                                  const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    const c10::DeviceGuard guard(x.device());
    const ConvolutionShape shape =
        shape_of_backward(gradient, x, y, w, centres, neighbours, couplings, paths);
    const GpuConvolution *const kernels = gpu_convolution(shape, couplings, x.scalar_type());
    if (!kernels)
      return convolve_backward_composed(gradient, x, y, w, centres, neighbours, couplings, paths);
    const torch::Tensor out_gradient = gradient.to(x.scalar_type()).contiguous();
    return kernels->backward(out_gradient, x.contiguous(), y.contiguous(), w.contiguous(),
                             centres.contiguous(), neighbours.contiguous());
  }

  // What the kernels for GPUs are compiled from; for tests, which compile it for the CPU.
  std::string convolution_source_of(const torch::Tensor &couplings, at::IntArrayRef paths,
                                    at::IntArrayRef widths)
  {
    require(widths.size() == 4, "takes the widths of x, y, w and out");
    const torch::Tensor on_host = couplings.to(torch::kCPU, torch::kDouble).contiguous();
    const ConvolutionShape shape(paths.data(), paths.size(), widths[0], widths[1], widths[2],
                                 widths[3], on_host.numel());
    return convolution_source(shape, on_host.const_data_ptr<double>());
  }

}    // namespace

}    // namespace mofmd

TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  library.def("convolve(Tensor x, Tensor y, Tensor w, Tensor centres, Tensor neighbours, "
              "Tensor couplings, int[] paths, int out_width) -> Tensor");
  library.def("convolve_backward(Tensor gradient, Tensor x, Tensor y, Tensor w, Tensor centres, "
              "Tensor neighbours, Tensor couplings, int[] paths) -> (Tensor, Tensor, Tensor)");
  library.def("convolution_source(Tensor couplings, int[] paths, int[] widths) -> str",
              mofmd::convolution_source_of);
}

TORCH_LIBRARY_IMPL(mofmd, CPU, library)
{
  library.impl("convolve", mofmd::convolve_cpu);
  library.impl("convolve_backward", mofmd::convolve_backward_cpu);
}

TORCH_LIBRARY_IMPL(mofmd, CUDA, library)
{
  library.impl("convolve", mofmd::convolve_gpu);
  library.impl("convolve_backward", mofmd::convolve_backward_gpu);
}

TORCH_LIBRARY_IMPL(mofmd, CompositeExplicitAutograd, library)
{
  library.impl("convolve", mofmd::convolve_composed);
  library.impl("convolve_backward", mofmd::convolve_backward_composed);
}
