// NequIP and Allegro in TorchScript: nequip's own .nequip.pth, files deployed by nequip 0.5 and
// 0.6, and mofmd's edge-gradient form.

#include "model/torch_model.h"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/script.h>

namespace mofmd {

namespace {

  class TorchScriptModel : public TorchModel {
  public:
    explicit TorchScriptModel(ModelInfo info) :
        TorchModel(std::move(info)), loaded_(torch::jit::load(info_.path, device_))
    {
      loaded_.eval();
      if (loaded_.hasattr("training")) {
        torch::jit::Inline(*loaded_.get_method("forward").graph());
        module_ = torch::jit::freeze(loaded_);
      } else
        module_ = loaded_;
      // Fusion recompiles whenever the number of edges changes: three slow calls and no gain.
      torch::jit::FusionStrategy no_fusion = {{torch::jit::FusionBehavior::DYNAMIC, 0}};
      torch::jit::setFusionStrategy(no_fusion);
    }

  protected:
    Results run(const GraphTensors &graph, bool /*need_virial*/, std::int64_t chunk) override
    {
      c10::Dict<std::string, torch::Tensor> input = inputs(graph);
      if (chunk > 0) input.insert("chunk", torch::tensor(chunk, torch::kLong));
      const c10::impl::GenericDict output = module_.forward({input}).toGenericDict();
      const auto take = [&output](const char *name) {
        return output.contains(name) ? output.at(name).toTensor() : torch::Tensor();
      };
      return {take("atomic_energy"), take("forces"), take("virial"), take("edge_gradients")};
    }

  private:
    // Code that was put in the place of a call knows the function it is of, without keeping it
    // alive, and names it when something fails. Freezing would do so with functions that it then
    // drops: it finds nothing left to do, and the functions live with the module that was loaded.
    // Both share the weights.
    torch::jit::Module loaded_, module_;

    c10::Dict<std::string, torch::Tensor> inputs(const GraphTensors &graph) const
    {
      const torch::Dtype dtype = info_.float32_inputs ? torch::kFloat : torch::kDouble;
      c10::Dict<std::string, torch::Tensor> inputs;
      inputs.insert("edge_index", graph.edge_index);
      inputs.insert("atom_types", graph.types);
      if (info_.form == Form::edge_gradients) {
        inputs.insert("edge_vectors", graph.edge_vectors.to(dtype));
        inputs.insert("local_types", graph.local_types);
      } else {
        inputs.insert("pos", graph.zero_positions(dtype));
        inputs.insert("cell", graph.unit_cell(dtype).view({1, 3, 3}));
        inputs.insert("edge_cell_shift", graph.edge_vectors.to(dtype));
      }
      return inputs;
    }
  };

}    // namespace

std::unique_ptr<Model> load_torchscript(ModelInfo info)
{
  return std::make_unique<TorchScriptModel>(std::move(info));
}

}    // namespace mofmd
