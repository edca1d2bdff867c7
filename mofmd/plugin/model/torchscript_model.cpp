// NequIP and Allegro in TorchScript: nequip's own .nequip.pth, files deployed by nequip 0.5 and
// 0.6, and mofmd's edge-gradient form.

#include "model/features.h"
#include "model/scripted.h"
#include "model/torch_model.h"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/script.h>

#include <optional>

namespace mofmd {

namespace {

  class TorchScriptModel : public TorchModel {
  public:
    explicit TorchScriptModel(ModelInfo info) :
        TorchModel(std::move(info)), loaded_(torch::jit::load(info_.path, device_))
    {
      loaded_.eval();
      if (info_.converted) to_float64(loaded_);
      if (loaded_.hasattr("training")) {
        module_ = frozen(loaded_);
      } else
        module_ = loaded_;
      // Fusion recompiles whenever the number of edges changes: three slow calls and no gain.
      torch::jit::FusionStrategy no_fusion = {{torch::jit::FusionBehavior::DYNAMIC, 0}};
      torch::jit::setFusionStrategy(no_fusion);
    }

  protected:
    Results run(const GraphTensors &graph, const Wanted &wanted, std::int64_t chunk) override
    {
      c10::Dict<std::string, torch::Tensor> input = inputs(graph);
      if (chunk > 0) input.insert("chunk", torch::tensor(chunk, torch::kLong));
      // A model that cuts its layers gives features apart, others give them with the forces.
      const bool beside = wanted.features && (chunk == 0 || !info_.cuts_layers);
      if (beside && !with_features_) {
        with_features_ = module_with_features(loaded_);
        if (loaded_.hasattr("training")) with_features_ = frozen(*with_features_);
      }
      torch::jit::Module &module = beside ? *with_features_ : module_;
      const c10::impl::GenericDict output = module.forward({input}).toGenericDict();
      const auto take = [&output](const char *name) {
        return output.contains(name) ? output.at(name).toTensor() : torch::Tensor();
      };
      Results results{take("atomic_energy"), take("forces"), take("virial"), take("edge_gradients"),
                      take("features")};
      if (wanted.features && !beside)
        results.features = features_in_chunks(loaded_, graph, chunk, info_.layers);
      return results;
    }

  private:
    // Code that was put in the place of a call knows the function it is of, without keeping it
    // alive, and names it when something fails. Freezing would do so with functions that it then
    // drops: it finds nothing left to do, and the functions live with the module that was loaded.
    // Both share the weights.
    torch::jit::Module loaded_, module_;
    std::optional<torch::jit::Module> with_features_;    // made when they are first asked for

    static torch::jit::Module frozen(const torch::jit::Module &module)
    {
      torch::jit::Inline(*module.get_method("forward").graph());
      return torch::jit::freeze(module);
    }

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
