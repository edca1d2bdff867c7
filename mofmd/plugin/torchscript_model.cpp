// NequIP and Allegro in TorchScript: nequip's own .nequip.pth, files deployed by nequip 0.5 and
// 0.6, and mofmd's edge-gradient form.

#include "tensors.h"

#include <torch/script.h>

namespace mofmd {

namespace {

  class TorchScriptModel : public Model {
  public:
    explicit TorchScriptModel(ModelInfo info) :
        Model(std::move(info)), device_(torch_device(info_.device))
    {
      module_ = torch::jit::load(info_.path, device_);
      module_.eval();
      if (module_.hasattr("training")) module_ = torch::jit::freeze(module_);
      // Fusion recompiles whenever the number of edges changes: three slow calls and no gain.
      torch::jit::FusionStrategy no_fusion = {{torch::jit::FusionBehavior::DYNAMIC, 0}};
      torch::jit::setFusionStrategy(no_fusion);
    }

    Evaluation evaluate(const Graph &graph, bool /*need_virial*/, std::int64_t chunk) override
    {
      TransferTimer timer(device_);
      c10::Dict<std::string, torch::Tensor> input = inputs(graph);
      if (chunk > 0) input.insert("chunk", torch::tensor(chunk, torch::kLong));
      Evaluation evaluation;
      evaluation.transfer_seconds = timer.lap();
      const c10::impl::GenericDict output = module_.forward({input}).toGenericDict();
      timer.lap();
      energies_ = take_energies(output, graph);
      evaluation.node_energies = energies_.const_data_ptr<double>();
      if (info_.form == Form::edge_gradients) {
        edge_gradients_ = take(output, "edge_gradients", 3 * graph.num_edges);
        evaluation.edge_gradients = edge_gradients_.const_data_ptr<double>();
      } else {
        forces_ = take(output, "forces", 3 * graph.num_nodes);
        evaluation.forces = forces_.const_data_ptr<double>();
      }
      if (output.contains("virial")) {
        virial_ = take(output, "virial", 9);
        evaluation.virial = virial_.const_data_ptr<double>();
      }
      evaluation.transfer_seconds += timer.lap();
      return evaluation;
    }

  private:
    torch::Device device_;
    torch::jit::Module module_;
    torch::Tensor energies_, forces_, virial_, edge_gradients_;

    c10::Dict<std::string, torch::Tensor> inputs(const Graph &graph) const
    {
      const GraphTensors tensors(graph, device_);
      const torch::Dtype dtype = info_.float32_inputs ? torch::kFloat : torch::kDouble;
      c10::Dict<std::string, torch::Tensor> inputs;
      inputs.insert("edge_index", tensors.edge_index());
      inputs.insert("atom_types", tensors.types());
      if (info_.form == Form::edge_gradients) {
        inputs.insert("edge_vectors", tensors.edge_vectors(dtype));
        inputs.insert("local_types", tensors.local_types());
      } else {
        inputs.insert("pos", tensors.zero_positions(dtype));
        inputs.insert("cell", tensors.unit_cell(dtype).view({1, 3, 3}));
        inputs.insert("edge_cell_shift", tensors.edge_vectors(dtype));
      }
      return inputs;
    }

    torch::Tensor take_energies(const c10::impl::GenericDict &output, const Graph &graph) const
    {
      const std::int64_t rows = output.contains("atomic_energy")
                                    ? num_energies(output.at("atomic_energy").toTensor(), graph)
                                    : graph.num_nodes;
      return take(output, "atomic_energy", rows);
    }

    torch::Tensor take(const c10::impl::GenericDict &output, const char *name,
                       std::int64_t numel) const
    {
      if (!output.contains(name))
        throw ModelError("the model file '" + info_.path + "' returns no '" + name + "'");
      return to_host(output.at(name).toTensor(), numel, name);
    }
  };

}    // namespace

std::unique_ptr<Model> load_torchscript(ModelInfo info)
{
  return std::make_unique<TorchScriptModel>(std::move(info));
}

}    // namespace mofmd
