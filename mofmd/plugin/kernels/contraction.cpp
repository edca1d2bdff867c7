// The torch operator mofmd::contract: MACE's symmetric contraction as polynomials, with a kernel of
// its own on CPUs and composed of torch's operators on any other device; its derivative with
// respect to the features; and the shapes of both, for compilers of models. The same definition in
// Python, for export: mofmd/models/export/contraction.py.

#include "base/model_error.h"
#include "kernels/contraction_kernel.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace mofmd {

namespace {

  void require(bool holds, const std::string &what)
  {
    if (!holds) throw ModelError("mofmd::contract: " + what);
  }

  // Checks all but the numbers in the tables.
  void check(const torch::Tensor &x, const torch::Tensor &types, const torch::Tensor &weights,
             const torch::Tensor &products, const torch::Tensor &terms, at::IntArrayRef orders,
             std::int64_t width)
  {
    require(x.dim() == 3 && types.dim() == 1 && types.size(0) == x.size(0),
            "takes features and a type for each atom");
    require(weights.dim() == 3 && weights.size(2) == x.size(1) &&
                weights.scalar_type() == x.scalar_type(),
            "takes weights for each element, term and channel, of the features' precision");
    require(products.dim() == 2 && products.size(1) == 2 && terms.dim() == 2 &&
                terms.size(1) == 2 && terms.size(0) == weights.size(1) && width >= 0,
            "takes pairs for products, and for as many terms as there are weights");
    for (const torch::Tensor *const indices : {&types, &products, &terms})
      require(indices->scalar_type() == torch::kLong, "takes 64-bit indices");
    for (const torch::Tensor *const other : {&types, &weights, &products, &terms})
      require(other->device() == x.device(), "takes tables of the same device");
    require(std::all_of(orders.begin(), orders.end(), [](std::int64_t n) { return n >= 0; }) &&
                std::accumulate(orders.begin(), orders.end(), std::int64_t(0)) == products.size(0),
            "orders have other products than there are");
  }

  void check_gradient(const torch::Tensor &gradient, const torch::Tensor &x)
  {
    require(gradient.dim() == 3 && x.dim() == 3 && gradient.size(0) == x.size(0) &&
                gradient.size(1) == x.size(1) && gradient.device() == x.device(),
            "takes gradients with a row for each atom and channel");
  }

  // ---- on CPUs
  // -------------------------------------------------------------------------------------

  // What the kernel takes, and what keeps it alive.
  struct KernelArguments {
    const torch::Tensor x, types, weights;
    const Polynomials polynomials;

    KernelArguments(const torch::Tensor &x_, const torch::Tensor &types_,
                    const torch::Tensor &weights_, const torch::Tensor &products,
                    const torch::Tensor &terms, std::int64_t width) :
        x(x_.contiguous()),
        types(types_.contiguous()),
        weights(weights_.contiguous()),
        polynomials(x.size(2), width, products.contiguous().const_data_ptr<std::int64_t>(),
                    products.size(0), terms.contiguous().const_data_ptr<std::int64_t>(),
                    terms.size(0))
    {
      const auto *const first = types.const_data_ptr<std::int64_t>();
      require(std::all_of(first, first + types.numel(),
                          [this](std::int64_t k) { return k >= 0 && k < weights.size(0); }),
              "an atom of an element without weights");
    }

    ContractionAtoms atoms() const
    {
      return {x.size(0), x.size(1), types.const_data_ptr<std::int64_t>()};
    }
  };

  torch::Tensor contract_cpu(const torch::Tensor &x, const torch::Tensor &types,
                             const torch::Tensor &weights, const torch::Tensor &products,
                             const torch::Tensor &terms, at::IntArrayRef orders, std::int64_t width)
  {
    check(x, types, weights, products, terms, orders, width);
    const KernelArguments a(x, types, weights, products, terms, width);
    torch::Tensor out = torch::empty({x.size(0), x.size(1), width}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mofmd::contract", [&] {
      contract(a.polynomials, a.atoms(), a.x.const_data_ptr<scalar_t>(),
               a.weights.const_data_ptr<scalar_t>(), out.data_ptr<scalar_t>());
    });
    return out;
  }

  torch::Tensor contract_backward_cpu(const torch::Tensor &gradient, const torch::Tensor &x,
                                      const torch::Tensor &types, const torch::Tensor &weights,
                                      const torch::Tensor &products, const torch::Tensor &terms,
                                      at::IntArrayRef orders)
  {
    check_gradient(gradient, x);
    check(x, types, weights, products, terms, orders, gradient.size(2));
    const KernelArguments a(x, types, weights, products, terms, gradient.size(2));
    const torch::Tensor out_gradient = gradient.to(x.scalar_type()).contiguous();
    torch::Tensor x_gradient = torch::empty_like(a.x);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mofmd::contract_backward", [&] {
      contract_backward(a.polynomials, a.atoms(), out_gradient.const_data_ptr<scalar_t>(),
                        a.x.const_data_ptr<scalar_t>(), a.weights.const_data_ptr<scalar_t>(),
                        x_gradient.data_ptr<scalar_t>());
    });
    return x_gradient;
  }

  // ---- on other devices
  // ----------------------------------------------------------------------------

  // Numbers at a time, so that the terms of all atoms are never in memory together.
  constexpr std::int64_t numbers_at_a_time = 1 << 25;

  // Calls visit(first atom, number of atoms) until all atoms are done.
  template <typename Visit> void for_atoms(const torch::Tensor &x, const torch::Tensor &products,
                                           const torch::Tensor &terms, Visit visit)
  {
    const std::int64_t of_an_atom =
        std::max<std::int64_t>(1, x.size(1) * (x.size(2) + products.size(0) + terms.size(0)));
    const std::int64_t at_a_time = std::max<std::int64_t>(1, numbers_at_a_time / of_an_atom);
    for (std::int64_t first = 0; first < x.size(0); first += at_a_time)
      visit(first, std::min(at_a_time, x.size(0) - first));
  }

  torch::Tensor column(const torch::Tensor &pairs, std::int64_t which)
  {
    return pairs.select(1, which);
  }

  // The components and all products (atoms, channels, both).
  torch::Tensor values_of(const torch::Tensor &x, const torch::Tensor &products,
                          at::IntArrayRef orders)
  {
    torch::Tensor values = x;
    std::int64_t done = 0;
    for (const std::int64_t count : orders) {
      const torch::Tensor group = products.narrow(0, done, count);
      values = torch::cat(
          {values, values.index_select(2, column(group, 0)) * x.index_select(2, column(group, 1))},
          2);
      done += count;
    }
    return values;
  }

  torch::Tensor weights_of(const torch::Tensor &weights, const torch::Tensor &types)
  {
    return weights.index_select(0, types).transpose(1, 2);
  }

  torch::Tensor contract_composed(const torch::Tensor &x, const torch::Tensor &types,
                                  const torch::Tensor &weights, const torch::Tensor &products,
                                  const torch::Tensor &terms, at::IntArrayRef orders,
                                  std::int64_t width)
  {
    check(x, types, weights, products, terms, orders, width);
    torch::Tensor out = torch::zeros({x.size(0), x.size(1), width}, x.options());
    for_atoms(x, products, terms, [&](std::int64_t first, std::int64_t count) {
      const torch::Tensor values = values_of(x.narrow(0, first, count), products, orders);
      const torch::Tensor found = values.index_select(2, column(terms, 0)) *
                                  weights_of(weights, types.narrow(0, first, count));
      out.narrow(0, first, count).index_add_(2, column(terms, 1), found);
    });
    return out;
  }

  torch::Tensor contract_backward_composed(const torch::Tensor &gradient, const torch::Tensor &x,
                                           const torch::Tensor &types, const torch::Tensor &weights,
                                           const torch::Tensor &products,
                                           const torch::Tensor &terms, at::IntArrayRef orders)
  {
    check_gradient(gradient, x);
    check(x, types, weights, products, terms, orders, gradient.size(2));
    torch::Tensor x_gradient = torch::empty_like(x);
    for_atoms(x, products, terms, [&](std::int64_t first, std::int64_t count) {
      const torch::Tensor xs = x.narrow(0, first, count);
      const torch::Tensor values = values_of(xs, products, orders);
      torch::Tensor of_values = torch::zeros_like(values);
      of_values.index_add_(
          2, column(terms, 0),
          gradient.narrow(0, first, count).to(x.scalar_type()).index_select(2, column(terms, 1)) *
              weights_of(weights, types.narrow(0, first, count)));
      std::int64_t past = products.size(0);
      for (auto order = orders.rbegin(); order != orders.rend(); past -= *order++) {
        const torch::Tensor group = products.narrow(0, past - *order, *order);
        const torch::Tensor upstream = of_values.narrow(2, x.size(2) + past - *order, *order);
        const torch::Tensor of_first = upstream * xs.index_select(2, column(group, 1));
        const torch::Tensor of_last = upstream * values.index_select(2, column(group, 0));
        of_values.index_add_(2, column(group, 0), of_first);
        of_values.index_add_(2, column(group, 1), of_last);
      }
      x_gradient.narrow(0, first, count).copy_(of_values.narrow(2, 0, x.size(2)));
    });
    return x_gradient;
  }

  // ---- derivative and shapes
  // -----------------------------------------------------------------------

  torch::Tensor dispatched(const torch::Tensor &x, const torch::Tensor &types,
                           const torch::Tensor &weights, const torch::Tensor &products,
                           const torch::Tensor &terms, at::IntArrayRef orders, std::int64_t width)
  {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mofmd::contract", "")
                               .typed<decltype(dispatched)>();
    return op.call(x, types, weights, products, terms, orders, width);
  }

  torch::Tensor dispatched_backward(const torch::Tensor &gradient, const torch::Tensor &x,
                                    const torch::Tensor &types, const torch::Tensor &weights,
                                    const torch::Tensor &products, const torch::Tensor &terms,
                                    at::IntArrayRef orders)
  {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mofmd::contract_backward", "")
                               .typed<decltype(dispatched_backward)>();
    return op.call(gradient, x, types, weights, products, terms, orders);
  }

  // With respect to the features; weights are those of a trained model.
  class ContractFunction : public torch::autograd::Function<ContractFunction> {
  public:
    static torch::Tensor forward(torch::autograd::AutogradContext *context, const torch::Tensor &x,
                                 const torch::Tensor &types, const torch::Tensor &weights,
                                 const torch::Tensor &products, const torch::Tensor &terms,
                                 at::IntArrayRef orders, std::int64_t width)
    {
      const at::AutoDispatchBelowADInplaceOrView below;
      require(!weights.requires_grad(), "has no derivative with respect to weights");
      context->save_for_backward({x, types, weights, products, terms});
      context->saved_data["orders"] = orders.vec();
      return dispatched(x, types, weights, products, terms, orders, width);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   const torch::autograd::variable_list &gradients)
    {
      const torch::autograd::variable_list s = context->get_saved_variables();
      return {dispatched_backward(gradients[0], s[0], s[1], s[2], s[3], s[4],
                                  context->saved_data["orders"].toIntVector()),
              {},
              {},
              {},
              {},
              {},
              {}};
    }
  };

  torch::Tensor contract_autograd(const torch::Tensor &x, const torch::Tensor &types,
                                  const torch::Tensor &weights, const torch::Tensor &products,
                                  const torch::Tensor &terms, at::IntArrayRef orders,
                                  std::int64_t width)
  {
    return ContractFunction::apply(x, types, weights, products, terms, orders, width);
  }

  torch::Tensor contract_backward_autograd(const torch::Tensor &gradient, const torch::Tensor &x,
                                           const torch::Tensor &types, const torch::Tensor &weights,
                                           const torch::Tensor &products,
                                           const torch::Tensor &terms, at::IntArrayRef orders)
  {
    const bool is_kept =
        torch::GradMode::is_enabled() && (gradient.requires_grad() || x.requires_grad());
    require(!is_kept, "has no second derivative");
    const at::AutoDispatchBelowADInplaceOrView below;
    return dispatched_backward(gradient, x, types, weights, products, terms, orders);
  }

  torch::Tensor contract_meta(const torch::Tensor &x, const torch::Tensor &, const torch::Tensor &,
                              const torch::Tensor &, const torch::Tensor &, at::IntArrayRef,
                              std::int64_t width)
  {
    return x.new_empty_symint({x.sym_size(0), x.sym_size(1), width});
  }

  torch::Tensor contract_backward_meta(const torch::Tensor &, const torch::Tensor &x,
                                       const torch::Tensor &, const torch::Tensor &,
                                       const torch::Tensor &, const torch::Tensor &,
                                       at::IntArrayRef)
  {
    return torch::empty_like(x);
  }

}    // namespace

}    // namespace mofmd

TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  library.def("contract(Tensor x, Tensor types, Tensor weights, Tensor products, Tensor terms, "
              "int[] orders, int width) -> Tensor");
  library.def("contract_backward(Tensor gradient, Tensor x, Tensor types, Tensor weights, "
              "Tensor products, Tensor terms, int[] orders) -> Tensor");
}

TORCH_LIBRARY_IMPL(mofmd, CPU, library)
{
  library.impl("contract", mofmd::contract_cpu);
  library.impl("contract_backward", mofmd::contract_backward_cpu);
}

TORCH_LIBRARY_IMPL(mofmd, CompositeExplicitAutograd, library)
{
  library.impl("contract", mofmd::contract_composed);
  library.impl("contract_backward", mofmd::contract_backward_composed);
}

TORCH_LIBRARY_IMPL(mofmd, Autograd, library)
{
  library.impl("contract", mofmd::contract_autograd);
  library.impl("contract_backward", mofmd::contract_backward_autograd);
}

TORCH_LIBRARY_IMPL(mofmd, Meta, library)
{
  library.impl("contract", mofmd::contract_meta);
  library.impl("contract_backward", mofmd::contract_backward_meta);
}
