#include "model/features.h"

#include "base/model_error.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>
#include <vector>

namespace mofmd {

namespace {

  // As EdgeGradientModel and LayeredGradientModel of mofmd/models/export.
  const std::string BEGIN = R"(
def forward(self, data: Dict[str, Tensor]) -> Dict[str, Tensor]:
    edge_vectors = data["edge_vectors"].detach()
    types = torch.index_select(self.model.model_types, 0, data["atom_types"])
    local_types = torch.index_select(self.model.model_types, 0, data["local_types"])
    edge_vectors = edge_vectors.requires_grad_(True)
    inputs = {"edge_vectors": edge_vectors, "edge_index": data["edge_index"],
              "atom_types": types, "local_types": local_types}
)";
  const std::string OF_LAYERS = R"(
    no_features = torch.empty([0], device=types.device)
    features, atomic_energy = self.model.energy.forward(
        inputs, no_features, 0, self.model.num_layers, False)
)";
  const std::string OF_EDGES = R"(
    out = self.model.energy.forward(inputs)
    num_local = local_types.size(0)
    atomic_energy = out["atomic_energy"][:num_local].double()
    of_edges = out["edge_features"]
    features = torch.zeros([num_local, of_edges.size(1)], dtype=of_edges.dtype,
                           device=of_edges.device)
    features = torch.index_add(features, 0, out["edge_index"][0], of_edges)
)";
  const std::string END = R"(
    gradient = torch.autograd.grad([atomic_energy.sum()], [edge_vectors])[0]
    assert gradient is not None
    return {"atomic_energy": atomic_energy.detach(), "edge_gradients": gradient.detach(),
            "features": features.detach()}
)";

  torch::Tensor exchange(const torch::Tensor &features, const torch::Tensor &local_types,
                         const torch::Tensor &types)
  {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mofmd::exchange", "")
                               .typed<torch::Tensor(const torch::Tensor &, const torch::Tensor &,
                                                    const torch::Tensor &)>();
    return op.call(features, local_types, types);
  }

}    // namespace

torch::jit::Module module_with_features(const torch::jit::Module &model)
{
  try {
    torch::jit::Module module("with_features");
    module.register_module("model", model);
    // a model of one layer is strictly local and has features of nodes all the same
    module.define(BEGIN + (model.hasattr("num_layers") ? OF_LAYERS : OF_EDGES) + END);
    module.eval();
    return module;
  } catch (const std::exception &error) {
    throw ModelError(std::string("the file was deployed by an older mofmd, its layers cannot be "
                                 "reached: deploy it again (") +
                     error.what() + ")");
  }
}

torch::Tensor features_in_chunks(const torch::jit::Module &model, const GraphTensors &graph,
                                 std::int64_t chunk, int num_layers)
{
  const torch::NoGradGuard no_autograd;
  torch::jit::Module energy = model.attr("energy").toModule();
  const torch::jit::Method part_of = model.get_method("part");
  const torch::Tensor map = model.attr("model_types").toTensor();
  const torch::Tensor types = map.index_select(0, graph.types);
  const torch::Tensor local_types = map.index_select(0, graph.local_types);
  const torch::Tensor order = torch::argsort(graph.edge_index[0], /*stable=*/true, /*dim=*/-1);
  const torch::Tensor vectors = graph.edge_vectors.to(torch::kDouble).index_select(0, order);
  const torch::Tensor edge_index = graph.edge_index.index_select(1, order);
  const torch::Tensor centres = edge_index[0].contiguous().to(torch::kCPU);

  torch::Tensor table = torch::empty({types.size(0), 0}, vectors.options().dtype(torch::kFloat));
  for (int layer = 0; layer < num_layers; ++layer) {
    std::vector<torch::Tensor> pieces;
    for (std::int64_t first = 0; first < local_types.size(0); first += chunk) {
      const torch::Tensor bounds = torch::searchsorted(
          centres, torch::tensor({first, first + chunk}, torch::dtype(torch::kLong)));
      const std::int64_t begin = bounds[0].item<std::int64_t>();
      const std::int64_t end = bounds[1].item<std::int64_t>();
      const c10::impl::GenericDict part =
          torch::jit::Method(part_of)(
              {edge_index.slice(1, begin, end), types, local_types, first, chunk})
              .toGenericDict();
      c10::Dict<std::string, torch::Tensor> inputs;
      for (const auto &entry : part)
        inputs.insert(entry.key().toStringRef(), entry.value().toTensor());
      inputs.insert("edge_vectors", vectors.slice(0, begin, end));
      const torch::Tensor before = table.index_select(0, inputs.at("rows"));
      pieces.push_back(energy.forward({inputs, before, layer, layer + 1, true})
                           .toTupleRef()
                           .elements()[0]
                           .toTensor());
    }
    table = torch::cat(pieces);
    if (layer + 1 < num_layers) table = exchange(table, local_types, types);
  }
  return table;
}

}    // namespace mofmd
