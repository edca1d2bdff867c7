// Derivatives of the torch operator mofmd::convolve (convolution.cpp), of any order and on any
// device: all of them are made of the operator and of its first derivative. And the shapes of both,
// for compilers of models.

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/types.h>

#include <tuple>
#include <utility>
#include <vector>

namespace mofmd {

namespace {

  using Gradients = std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>;

  torch::Tensor dispatched(const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
                           const torch::Tensor &centres, const torch::Tensor &neighbours,
                           const torch::Tensor &couplings, at::IntArrayRef paths,
                           std::int64_t out_width)
  {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mofmd::convolve", "")
                               .typed<decltype(dispatched)>();
    return op.call(x, y, w, centres, neighbours, couplings, paths, out_width);
  }

  Gradients dispatched_backward(const torch::Tensor &gradient, const torch::Tensor &x,
                                const torch::Tensor &y, const torch::Tensor &w,
                                const torch::Tensor &centres, const torch::Tensor &neighbours,
                                const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mofmd::convolve_backward", "")
                               .typed<decltype(dispatched_backward)>();
    return op.call(gradient, x, y, w, centres, neighbours, couplings, paths);
  }

  // Keeps what a node of autograd's graph needs for its derivative: the tables, then `paths`.
  void keep(torch::autograd::AutogradContext *context, torch::autograd::variable_list tables,
            at::IntArrayRef paths)
  {
    context->save_for_backward(std::move(tables));
    context->saved_data["paths"] = paths.vec();
  }

  class ConvolveFunction : public torch::autograd::Function<ConvolveFunction> {
  public:
    static torch::Tensor forward(torch::autograd::AutogradContext *context, const torch::Tensor &x,
                                 const torch::Tensor &y, const torch::Tensor &w,
                                 const torch::Tensor &centres, const torch::Tensor &neighbours,
                                 const torch::Tensor &couplings, at::IntArrayRef paths,
                                 std::int64_t out_width)
    {
      const at::AutoDispatchBelowADInplaceOrView below;
      keep(context, {x, y, w, centres, neighbours, couplings}, paths);
      return dispatched(x, y, w, centres, neighbours, couplings, paths, out_width);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   const torch::autograd::variable_list &gradients)
    {
      const torch::autograd::variable_list s = context->get_saved_variables();
      const auto [x, y, w] = dispatched_backward(gradients[0], s[0], s[1], s[2], s[3], s[4], s[5],
                                                 context->saved_data["paths"].toIntVector());
      return {x, y, w, {}, {}, {}, {}, {}};
    }
  };

  // Adds to a sum that has no term yet as long as it is undefined.
  void add_to(torch::Tensor &sum, const torch::Tensor &term)
  {
    sum = sum.defined() ? sum + term : term;
  }

  // The derivative of the derivative, of which trainings on forces are made. With F(x, y, w) the
  // convolution, which is linear in each of the three, B(g, x, y, w) its derivative and cotangents
  // a, b, c of B's results,
  //
  //     <a, Bx> + <b, By> + <c, Bw> = <g, F(a, y, w) + F(x, b, w) + F(x, y, c)>
  //
  // so that with respect to g it is the sum of the three F, and with respect to x, y and w it is
  // made of parts of B at their arguments. Both are operators again: so are higher derivatives.
  class ConvolveBackwardFunction : public torch::autograd::Function<ConvolveBackwardFunction> {
  public:
    static torch::autograd::variable_list
    forward(torch::autograd::AutogradContext *context, const torch::Tensor &gradient,
            const torch::Tensor &x, const torch::Tensor &y, const torch::Tensor &w,
            const torch::Tensor &centres, const torch::Tensor &neighbours,
            const torch::Tensor &couplings, at::IntArrayRef paths)
    {
      const at::AutoDispatchBelowADInplaceOrView below;
      keep(context, {gradient, x, y, w, centres, neighbours, couplings}, paths);
      context->set_materialize_grads(false);    // terms of what nobody asked for are left out
      const auto [of_x, of_y, of_w] =
          dispatched_backward(gradient, x, y, w, centres, neighbours, couplings, paths);
      return {of_x, of_y, of_w};
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   const torch::autograd::variable_list &cotangents)
    {
      const torch::autograd::variable_list s = context->get_saved_variables();
      const torch::Tensor &g = s[0], &x = s[1], &y = s[2], &w = s[3];
      const std::vector<std::int64_t> paths = context->saved_data["paths"].toIntVector();
      const bool for_g = context->needs_input_grad(0), for_x = context->needs_input_grad(1),
                 for_y = context->needs_input_grad(2), for_w = context->needs_input_grad(3);
      torch::Tensor of_g, of_x, of_y, of_w;
      const auto add_forward = [&](const torch::Tensor &x_, const torch::Tensor &y_,
                                   const torch::Tensor &w_) {
        if (for_g) add_to(of_g, dispatched(x_, y_, w_, s[4], s[5], s[6], paths, g.size(1)));
      };
      const auto backward_at = [&](const torch::Tensor &x_, const torch::Tensor &y_,
                                   const torch::Tensor &w_) {
        return dispatched_backward(g, x_, y_, w_, s[4], s[5], s[6], paths);
      };
      if (const torch::Tensor &a = cotangents[0]; a.defined()) {
        add_forward(a, y, w);
        if (for_y || for_w) {
          const Gradients found = backward_at(a, y, w);
          add_to(of_y, std::get<1>(found));
          add_to(of_w, std::get<2>(found));
        }
      }
      if (const torch::Tensor &b = cotangents[1]; b.defined()) {
        add_forward(x, b, w);
        if (for_x || for_w) {
          const Gradients found = backward_at(x, b, w);
          add_to(of_x, std::get<0>(found));
          add_to(of_w, std::get<2>(found));
        }
      }
      if (const torch::Tensor &c = cotangents[2]; c.defined()) {
        add_forward(x, y, c);
        if (for_x || for_y) {
          const Gradients found = backward_at(x, y, c);
          add_to(of_x, std::get<0>(found));
          add_to(of_y, std::get<1>(found));
        }
      }
      return {of_g, of_x, of_y, of_w, {}, {}, {}, {}};
    }
  };

  Gradients convolve_backward_with_gradient(const torch::Tensor &gradient, const torch::Tensor &x,
                                            const torch::Tensor &y, const torch::Tensor &w,
                                            const torch::Tensor &centres,
                                            const torch::Tensor &neighbours,
                                            const torch::Tensor &couplings, at::IntArrayRef paths)
  {
    if (!torch::GradMode::is_enabled()) {    // forces of a simulation: nothing is kept
      const at::AutoDispatchBelowADInplaceOrView below;
      return dispatched_backward(gradient, x, y, w, centres, neighbours, couplings, paths);
    }
    const torch::autograd::variable_list found =
        ConvolveBackwardFunction::apply(gradient, x, y, w, centres, neighbours, couplings, paths);
    return {found[0], found[1], found[2]};
  }

  torch::Tensor convolve_with_gradient(const torch::Tensor &x, const torch::Tensor &y,
                                       const torch::Tensor &w, const torch::Tensor &centres,
                                       const torch::Tensor &neighbours,
                                       const torch::Tensor &couplings, at::IntArrayRef paths,
                                       std::int64_t out_width)
  {
    return ConvolveFunction::apply(x, y, w, centres, neighbours, couplings, paths, out_width);
  }

  // ---- shapes alone, for compilers of models
  // --------------------------------------------------------

  torch::Tensor convolve_shape(const torch::Tensor &x, const torch::Tensor &, const torch::Tensor &,
                               const torch::Tensor &, const torch::Tensor &, const torch::Tensor &,
                               at::IntArrayRef, std::int64_t out_width)
  {
    return x.new_empty_symint({x.sym_size(0), out_width});
  }

  Gradients convolve_backward_shapes(const torch::Tensor &, const torch::Tensor &x,
                                     const torch::Tensor &y, const torch::Tensor &w,
                                     const torch::Tensor &, const torch::Tensor &,
                                     const torch::Tensor &, at::IntArrayRef)
  {
    return {x.new_empty_symint(x.sym_sizes()), y.new_empty_symint(y.sym_sizes()),
            w.new_empty_symint(w.sym_sizes())};
  }

}    // namespace

}    // namespace mofmd

TORCH_LIBRARY_IMPL(mofmd, Meta, library)
{
  library.impl("convolve", mofmd::convolve_shape);
  library.impl("convolve_backward", mofmd::convolve_backward_shapes);
}

TORCH_LIBRARY_IMPL(mofmd, Autograd, library)
{
  library.impl("convolve", mofmd::convolve_with_gradient);
  library.impl("convolve_backward", mofmd::convolve_backward_with_gradient);
}
