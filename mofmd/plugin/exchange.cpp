// The torch operator mofmd::exchange, for TorchScript and AOTInductor alike.

#include "exchange.h"
#include "model.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/types.h>

#include <chrono>
#include <cstring>
#include <vector>

namespace mofmd {

namespace {

  // Not thread_local: torch runs the backward pass of a GPU in a thread of its own, while the
  // thread that opened the scope waits.
  ExchangeScope *current_scope = nullptr;

  // Atoms' rows on their way to other ranks; one buffer, reused.
  std::vector<char> staging;

}    // namespace

ExchangeScope::ExchangeScope(const Graph &graph, int num_atoms, AtomCommunicator *communicator) :
    graph_(graph), num_atoms_(num_atoms), communicator_(communicator)
{
  current_scope = this;
}

ExchangeScope::~ExchangeScope()
{
  current_scope = nullptr;
}

class ExchangeOperator {
public:
  // features (n_local, F) of the owned nodes -> (n_all, F)
  static torch::Tensor forward(const torch::Tensor &features, std::int64_t num_all)
  {
    ExchangeOperator exchange(features, num_all);
    if (current_scope) {
      ++current_scope->counters_.forward_calls;
      current_scope->counters_.rows += features.size(0);
    }
    if (!exchange.has_ranks()) return features.clone();
    const torch::Tensor mine = to_host(features);
    torch::Tensor all = torch::empty({num_all, mine.size(1)}, mine.options());
    exchange.fill(mine, 0, exchange.num_local());
    current_scope->communicator_->copy_to_ghosts(exchange.rows_);
    std::memcpy(all.data_ptr(), mine.const_data_ptr(), mine.nbytes());
    exchange.take(all);
    return all.to(features.device());
  }

  // gradients (n_all, F) -> (n_local, F), those of ghosts added to their owners
  static torch::Tensor backward(const torch::Tensor &gradients, std::int64_t num_local)
  {
    ExchangeOperator exchange(gradients, gradients.size(0));
    if (!exchange.has_ranks()) return gradients.clone();
    const torch::Tensor all = to_host(gradients);
    exchange.fill(all, num_local, all.size(0));
    current_scope->communicator_->sum_from_ghosts(exchange.rows_);
    torch::Tensor mine = all.narrow(0, 0, num_local).clone();
    exchange.add_to(mine);
    return mine.to(gradients.device());
  }

private:
  AtomRows rows_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();

  ExchangeOperator(const torch::Tensor &table, std::int64_t num_all)
  {
    if (table.dim() != 2 || (table.scalar_type() != torch::kFloat && !is_double(table)))
      throw ModelError("mofmd::exchange takes a float32 or float64 table with a row per atom");
    if (!has_ranks()) {
      if (table.size(0) != num_all)
        throw ModelError("mofmd::exchange is called outside a run with ghost atoms as nodes");
      return;
    }
    if (num_all != current_scope->graph_.num_nodes)
      throw ModelError("mofmd::exchange is called with the wrong number of atoms");
    rows_.row_bytes = table.size(1) * table.element_size();
    rows_.is_double = is_double(table);
    staging.assign(rows_.row_bytes * current_scope->num_atoms_, 0);
    rows_.data = staging.data();
  }

  ~ExchangeOperator()
  {
    if (!current_scope) return;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    current_scope->counters_.seconds += elapsed.count();
    const std::int64_t ghosts =
        current_scope->graph_.num_nodes - current_scope->graph_.num_local_nodes;
    current_scope->counters_.bytes += ghosts * static_cast<std::int64_t>(rows_.row_bytes);
  }

  static bool has_ranks() { return current_scope && current_scope->communicator_; }
  static bool is_double(const torch::Tensor &t) { return t.scalar_type() == torch::kDouble; }
  static torch::Tensor to_host(const torch::Tensor &t)
  {
    return t.detach().to(torch::kCPU).contiguous();
  }
  static std::int64_t num_local() { return current_scope->graph_.num_local_nodes; }

  char *row_of_node(std::int64_t node) const
  {
    const int atom = current_scope->graph_.node_atom[node];
    return atom < 0 ? nullptr : rows_.data + rows_.row_bytes * atom;
  }

  // Rows [first, last) of the nodes into the staging table.
  void fill(const torch::Tensor &nodes, std::int64_t first, std::int64_t last) const
  {
    const auto *const source = static_cast<const char *>(nodes.const_data_ptr());
    for (std::int64_t k = first; k < last; ++k)
      if (char *const row = row_of_node(k))
        std::memcpy(row, source + rows_.row_bytes * k, rows_.row_bytes);
  }

  // Rows of the ghost nodes out of the staging table.
  void take(torch::Tensor &nodes) const
  {
    auto *const target = static_cast<char *>(nodes.data_ptr());
    for (std::int64_t k = num_local(); k < nodes.size(0); ++k)
      std::memcpy(target + rows_.row_bytes * k, row_of_node(k), rows_.row_bytes);
  }

  template <typename T> void add_rows(torch::Tensor &nodes) const
  {
    T *const target = nodes.data_ptr<T>();
    const std::int64_t width = nodes.size(1);
    for (std::int64_t k = 0; k < nodes.size(0); ++k)
      if (const auto *const row = reinterpret_cast<const T *>(row_of_node(k)))
        for (std::int64_t c = 0; c < width; ++c) target[k * width + c] += row[c];
  }

  void add_to(torch::Tensor &nodes) const
  {
    rows_.is_double ? add_rows<double>(nodes) : add_rows<float>(nodes);
  }
};

namespace {

  // The types of the nodes carry the two numbers of nodes through a traced graph.
  torch::Tensor exchange(const torch::Tensor &features, const torch::Tensor & /*local_types*/,
                         const torch::Tensor &types)
  {
    return ExchangeOperator::forward(features, types.size(0));
  }

  torch::Tensor exchange_backward(const torch::Tensor &gradients, const torch::Tensor &local_types)
  {
    return ExchangeOperator::backward(gradients, local_types.size(0));
  }

  class ExchangeFunction : public torch::autograd::Function<ExchangeFunction> {
  public:
    static torch::Tensor forward(torch::autograd::AutogradContext *context,
                                 const torch::Tensor &features, const torch::Tensor &local_types,
                                 const torch::Tensor &types)
    {
      context->save_for_backward({local_types});
      return exchange(features, local_types, types);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   const torch::autograd::variable_list &gradients)
    {
      return {exchange_backward(gradients[0], context->get_saved_variables()[0]), torch::Tensor(),
              torch::Tensor()};
    }
  };

  torch::Tensor exchange_with_gradient(const torch::Tensor &features,
                                       const torch::Tensor &local_types, const torch::Tensor &types)
  {
    return ExchangeFunction::apply(features, local_types, types);
  }

}    // namespace

}    // namespace mofmd

TORCH_LIBRARY(mofmd, library)
{
  library.def("exchange(Tensor features, Tensor local_types, Tensor types) -> Tensor");
  library.def("exchange_backward(Tensor gradients, Tensor local_types) -> Tensor");
}

TORCH_LIBRARY_IMPL(mofmd, CompositeExplicitAutograd, library)
{
  library.impl("exchange", mofmd::exchange);
  library.impl("exchange_backward", mofmd::exchange_backward);
}

TORCH_LIBRARY_IMPL(mofmd, Autograd, library)
{
  library.impl("exchange", mofmd::exchange_with_gradient);
}
