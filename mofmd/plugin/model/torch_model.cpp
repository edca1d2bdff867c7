#include "model/torch_model.h"

#include <c10/core/AutogradState.h>

namespace mofmd {

namespace {

  // W_i = - sum_j r_ij (x) g, made symmetric, at the centres: (N_local, 6) xx yy zz xy xz yz.
  torch::Tensor node_virials_of(const torch::Tensor &gradients, const GraphTensors &graph)
  {
    const std::vector<torch::Tensor> r = graph.edge_vectors.unbind(1), g = gradients.unbind(1);
    const auto mixed = [&](int a, int b) { return -0.5 * (r[a] * g[b] + r[b] * g[a]); };
    const torch::Tensor of_edges = torch::stack(
        {mixed(0, 0), mixed(1, 1), mixed(2, 2), mixed(0, 1), mixed(0, 2), mixed(1, 2)}, 1);
    return torch::zeros({graph.num_local_nodes(), 6}, gradients.options())
        .index_add_(0, graph.edge_index[0], of_edges);
  }

  // Torch runs the backward pass of a GPU in a thread of its own; but messages to other ranks are
  // sent from within it, and MPI is used by the thread that began it, no other.
  class OneThread {
  public:
    OneThread() { state().set_multithreading_enabled(false); }
    ~OneThread() { state().set_multithreading_enabled(before_); }
    OneThread(const OneThread &) = delete;
    OneThread &operator=(const OneThread &) = delete;

  private:
    static c10::AutogradState &state() { return c10::AutogradState::get_tls_state(); }
    const bool before_ = state().get_multithreading_enabled();
  };

}    // namespace

void TorchModel::check(const torch::Tensor &result, std::int64_t numel, const char *name) const
{
  if (!result.defined())
    throw ModelError("the model file '" + info_.path + "' returns no '" + name + "'");
  if (result.numel() != numel)
    throw ModelError(std::string("the model returned ") + std::to_string(result.numel()) +
                     " numbers as '" + name + "', expected " + std::to_string(numel));
}

Results TorchModel::checked_run(const GraphTensors &graph, const Wanted &wanted, std::int64_t chunk)
{
  const OneThread here;
  Results results = run(graph, wanted, chunk);
  // Energies of all nodes, or of the owned ones where a model gives no more.
  const bool are_local =
      results.node_energies.defined() && results.node_energies.numel() == graph.num_local_nodes();
  check(results.node_energies, are_local ? graph.num_local_nodes() : graph.num_nodes(),
        "atomic energies");
  if (info_.form == Form::edge_gradients)
    check(results.edge_gradients, 3 * graph.num_edges(), "edge_gradients");
  else
    check(results.forces, 3 * graph.num_nodes(), "forces");
  if (results.virial.defined()) check(results.virial, 9, "virial");
  if (wanted.features &&
      (!results.features.defined() || results.features.size(0) != graph.num_local_nodes()))
    throw ModelError("the model file '" + info_.path + "' gives no features of its atoms");
  results.node_energies = results.node_energies.reshape({-1});
  return results;
}

Evaluation TorchModel::evaluate(const Graph &graph, const Wanted &wanted, std::int64_t chunk)
{
  TransferTimer timer(device_);
  const GraphTensors tensors = graph_tensors(graph, device_);
  Evaluation evaluation;
  evaluation.transfer_seconds = timer.lap();
  const Results results = checked_run(tensors, wanted, chunk);
  timer.lap();
  const bool gives_edges = info_.form == Form::edge_gradients;
  std::vector<torch::Tensor> out{gives_edges ? results.edge_gradients : results.forces,
                                 results.node_energies};
  if (results.virial.defined()) out.push_back(results.virial);
  if (wanted.features) out.push_back(results.features);
  const double *next = download_.take(out);
  (gives_edges ? evaluation.edge_gradients : evaluation.forces) = next;
  if (gives_edges) evaluation.graph = &graph;
  next += out[0].numel();
  evaluation.node_energies = next;
  next += results.node_energies.numel();
  if (results.virial.defined()) {
    evaluation.virial = next;
    next += 9;
  }
  if (wanted.features) {
    evaluation.features = next;
    evaluation.num_features = results.features.size(1);
  }
  evaluation.transfer_seconds += timer.lap();
  return evaluation;
}

// All that a step gives, in one array: energies (N), forces (N, 3), virial (3, 3), virials of nodes
// (N, 6) and features (N, F) on request, and the number of edges. No size here depends on where the
// atoms are.
torch::Tensor TorchModel::fixed_results(const FixedGraph &graph, const Wanted &wanted)
{
  const FixedGraph::Step step = graph.step();
  const Results results = checked_run(step.graph, {/*virial=*/true, false, wanted.features}, 0);
  const torch::NoGradGuard no_autograd;
  const torch::Tensor g = results.edge_gradients.detach().reshape({-1, 3});
  const EdgeSums sums = sum_edges(g, {step.graph.edge_vectors, step.graph.edge_index},
                                  step.graph.num_nodes(), step.kept, graph.num_pairs());
  const std::int64_t nodes = graph.num_nodes;
  std::vector<torch::Tensor> out{
      results.node_energies.detach().to(torch::kDouble).narrow(0, 0, nodes),
      sums.forces.narrow(0, 0, nodes).reshape({-1}), sums.virial.reshape({-1})};
  if (wanted.node_virials) {
    const torch::Tensor is_padding = (step.kept >= graph.num_pairs()).unsqueeze(1);
    const torch::Tensor of_edges = g.to(torch::kDouble).masked_fill(is_padding, 0.0);
    out.push_back(node_virials_of(of_edges, step.graph).narrow(0, 0, nodes).reshape({-1}));
  }
  if (wanted.features)
    out.push_back(results.features.to(torch::kDouble).narrow(0, 0, nodes).reshape({-1}));
  out.push_back(step.num_edges.to(torch::kDouble).reshape({1}));
  return torch::cat(out);
}

Evaluation TorchModel::evaluate_fixed(FixedGraph &graph, const Wanted &wanted)
{
  const double *data = nullptr;
  Evaluation evaluation;
  bool fits = false;
  std::int64_t end = 0;    // of what a step gives
  while (!fits) {
    Recorder &recorder = recorders_[(wanted.node_virials ? 1 : 0) + (wanted.features ? 2 : 0)];
    const torch::Tensor &out = recorder.run(
        graph.layout(), [this, &graph, &wanted] { return fixed_results(graph, wanted); });
    TransferTimer timer(device_);
    timer.lap();
    data = download_.take({out});
    evaluation.transfer_seconds += timer.lap();
    fits = graph.has_held(static_cast<std::int64_t>(data[out.numel() - 1]));
    end = out.numel() - 1;
  }
  evaluation.node_energies = data;
  evaluation.forces = data + graph.num_nodes;
  evaluation.virial = evaluation.forces + 3 * graph.num_nodes;
  const double *next = evaluation.virial + 9;
  if (wanted.node_virials) {
    evaluation.node_virials = next;
    next += 6 * graph.num_nodes;
  }
  if (wanted.features) {
    evaluation.features = next;
    evaluation.num_features = (data + end - next) / graph.num_nodes;
  }
  return evaluation;
}

Evaluation TorchModel::evaluate(ResidentGraph &graph, const Wanted &wanted, std::int64_t chunk)
{
  if (auto *const fixed = dynamic_cast<FixedGraph *>(&graph)) return evaluate_fixed(*fixed, wanted);
  const auto &resident = dynamic_cast<const DeviceGraph &>(graph);
  const bool cuts_layers = info_.cuts_layers;
  const GraphTensors whole = resident.tensors();
  const bool is_cut = chunk > 0 && chunk < graph.num_local_nodes && !cuts_layers;
  const std::vector<GraphTensors> parts =
      is_cut ? resident.parts(chunk) : std::vector<GraphTensors>{whole};

  std::vector<torch::Tensor> energies, gradients, features;
  torch::Tensor forces, virial;
  std::int64_t first = 0;
  for (const GraphTensors &part : parts) {
    const Results results = checked_run(part, wanted, cuts_layers ? chunk : 0);
    const torch::NoGradGuard no_autograd;
    energies.push_back(results.node_energies.narrow(0, 0, part.num_local_nodes()));
    if (wanted.features) features.push_back(results.features);
    if (info_.form == Form::edge_gradients) {
      gradients.push_back(results.edge_gradients.detach().reshape({-1, 3}));
    } else {    // nodes of a part are those of the whole in turn
      const torch::Tensor mine =
          results.forces.detach().to(torch::kDouble).reshape({-1, 3}).roll(first, 0);
      forces = forces.defined() ? forces + mine : mine;
      if (results.virial.defined())
        virial = virial.defined() ? virial + results.virial : results.virial;
    }
    first += part.num_local_nodes();
  }

  const torch::NoGradGuard no_autograd;
  std::vector<torch::Tensor> out{torch::cat(energies)};
  torch::Tensor node_virials;
  if (info_.form == Form::edge_gradients) {
    const torch::Tensor g = gradients.size() == 1 ? gradients[0] : torch::cat(gradients);
    const EdgeSums sums = sum_edges(g, {whole.edge_vectors, whole.edge_index}, whole.num_nodes());
    forces = sums.forces;
    if (wanted.virial) virial = sums.virial;
    if (wanted.node_virials) node_virials = node_virials_of(g.to(torch::kDouble), whole);
  }
  out.push_back(forces);
  if (virial.defined()) out.push_back(virial);
  if (node_virials.defined()) out.push_back(node_virials);
  for (const torch::Tensor &table : features) out.push_back(table);

  TransferTimer timer(device_);    // waits for the model
  timer.lap();
  Evaluation evaluation;
  evaluation.node_energies = download_.take(out);
  evaluation.forces = evaluation.node_energies + graph.num_local_nodes;
  const double *next = evaluation.forces + 3 * graph.num_nodes;
  if (virial.defined()) {
    evaluation.virial = next;
    next += 9;
  }
  if (node_virials.defined()) {
    evaluation.node_virials = next;
    next += 6 * graph.num_local_nodes;
  }
  if (wanted.features) {
    evaluation.features = next;
    evaluation.num_features = features[0].size(1);
  }
  evaluation.transfer_seconds = timer.lap();
  return evaluation;
}

}    // namespace mofmd
