// The torch operator mofmd::exchange, for TorchScript and AOTInductor alike.

#include "exchange/exchange.h"
#include "base/model_error.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/cuda.h>
#include <torch/library.h>
#include <torch/types.h>

#include <chrono>
#include <cstring>
#include <vector>

namespace mofmd {

namespace {

  ExchangeScope *current_scope = nullptr;

  // Atoms' rows on their way to other ranks; one buffer, reused.
  std::vector<char> staging;

}    // namespace

ExchangeScope::ExchangeScope(const Nodes &nodes, int num_atoms,
                             const std::vector<std::int64_t> &sent_nodes,
                             AtomCommunicator *communicator) :
    nodes_(nodes), num_atoms_(num_atoms), sent_nodes_(sent_nodes), communicator_(communicator)
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
    ExchangeOperator exchange(features, features.size(0), num_all);
    if (current_scope) {
      ++current_scope->counters_.forward_calls;
      current_scope->counters_.rows += features.size(0);
    }
    if (!exchange.has_ranks()) return features.clone();
    const std::int64_t num_local = features.size(0);
    exchange.fill(to_host(features.detach().index_select(0, exchange.sent(features.device()))),
                  [&](std::int64_t k) { return current_scope->sent_nodes_[k]; });
    current_scope->communicator_->copy_to_ghosts(exchange.rows_);
    const torch::Tensor ghosts =
        exchange.take(features, num_all - num_local, [&](std::int64_t k) { return num_local + k; });
    return torch::cat({features.detach(), ghosts.to(features.device())});
  }

  // gradients (n_all, F) -> (n_local, F), those of ghosts added to their owners
  static torch::Tensor backward(const torch::Tensor &gradients, std::int64_t num_local)
  {
    ExchangeOperator exchange(gradients, num_local, gradients.size(0));
    if (!exchange.has_ranks()) return gradients.clone();
    const std::int64_t num_ghosts = gradients.size(0) - num_local;
    exchange.fill(to_host(gradients.detach().narrow(0, num_local, num_ghosts)),
                  [&](std::int64_t k) { return num_local + k; });
    current_scope->communicator_->sum_from_ghosts(exchange.rows_);
    const std::vector<std::int64_t> &sent = current_scope->sent_nodes_;
    const torch::Tensor returned = exchange.take(gradients, static_cast<std::int64_t>(sent.size()),
                                                 [&](std::int64_t k) { return sent[k]; });
    return gradients.detach()
        .narrow(0, 0, num_local)
        .index_add(0, exchange.sent(gradients.device()), returned.to(gradients.device()));
  }

private:
  AtomRows rows_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();

  ExchangeOperator(const torch::Tensor &table, std::int64_t num_local, std::int64_t num_all)
  {
    if (table.dim() != 2 || (table.scalar_type() != torch::kFloat && !is_double(table)))
      throw ModelError("mofmd::exchange takes a float32 or float64 table with a row per atom");
    if (!has_ranks()) {
      if (num_local != num_all)
        throw ModelError("mofmd::exchange is called outside a run with ghost atoms as nodes");
      return;
    }
    const Nodes &nodes = current_scope->nodes_;
    if (num_all != nodes.num_nodes || num_local != nodes.num_local_nodes)
      throw ModelError("mofmd::exchange is called with the wrong number of atoms");
    if (!table.is_cpu()) {    // what the model has under way there is not time of the exchange
      torch::cuda::synchronize(table.device().index());
      start_ = std::chrono::steady_clock::now();
    }
    rows_.row_bytes = table.size(1) * table.element_size();
    rows_.is_double = is_double(table);
    staging.resize(rows_.row_bytes * current_scope->num_atoms_);
    rows_.data = staging.data();
    current_scope->communicator_->clear(rows_);
  }

  ~ExchangeOperator()
  {
    if (!current_scope) return;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    current_scope->counters_.seconds += elapsed.count();
    const Nodes &nodes = current_scope->nodes_;
    current_scope->counters_.bytes +=
        (nodes.num_nodes - nodes.num_local_nodes) * static_cast<std::int64_t>(rows_.row_bytes);
  }

  static bool has_ranks() { return current_scope && current_scope->communicator_; }
  static bool is_double(const torch::Tensor &t) { return t.scalar_type() == torch::kDouble; }
  static torch::Tensor to_host(const torch::Tensor &t) { return t.to(torch::kCPU).contiguous(); }

  // The nodes to send, on the device. They change only when atoms change their ranks. What is kept
  // is never destroyed: at the end of the process the device may be gone before it.
  static torch::Tensor sent(torch::Device device)
  {
    static auto &nodes = *new std::vector<std::int64_t>;
    static auto &kept = *new torch::Tensor;
    if (!kept.defined() || kept.device() != device || nodes != current_scope->sent_nodes_) {
      nodes = current_scope->sent_nodes_;
      kept = torch::tensor(nodes, torch::kLong).to(device);
    }
    return kept;
  }

  char *row_of_node(std::int64_t node) const
  {
    const int atom = current_scope->nodes_.node_atom[node];
    return atom < 0 ? nullptr : rows_.data + rows_.row_bytes * atom;
  }

  // Rows of `table` into the staging table: row k is that of node node_of(k).
  template <typename NodeOf> void fill(const torch::Tensor &table, NodeOf node_of) const
  {
    const auto *const source = static_cast<const char *>(table.const_data_ptr());
    for (std::int64_t k = 0; k < table.size(0); ++k)
      if (char *const row = row_of_node(node_of(k)))
        std::memcpy(row, source + rows_.row_bytes * k, rows_.row_bytes);
  }

  // The other way: rows of these nodes as a table of the dtype of `like`, on the host.
  template <typename NodeOf>
  torch::Tensor take(const torch::Tensor &like, std::int64_t num_rows, NodeOf node_of) const
  {
    torch::Tensor table = torch::zeros({num_rows, like.size(1)}, torch::dtype(like.scalar_type()));
    auto *const target = static_cast<char *>(table.data_ptr());
    for (std::int64_t k = 0; k < num_rows; ++k)
      if (const char *const row = row_of_node(node_of(k)))
        std::memcpy(target + rows_.row_bytes * k, row, rows_.row_bytes);
    return table;
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
