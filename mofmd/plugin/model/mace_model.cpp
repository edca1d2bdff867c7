// MACE as mace_create_lammps_model writes it (X.model-lammps.pt).

#include "base/elements.h"
#include "base/numbers.h"
#include "model/scripted.h"
#include "model/torch_model.h"

#include <torch/script.h>

#include <cmath>

namespace mofmd {

namespace {

  class MaceModel : public TorchModel {
  public:
    MaceModel(ModelInfo info, const std::string &dtype) :
        TorchModel(std::move(info)), module_(torch::jit::load(info_.path, device_))
    {
      module_.eval();
      if (dtype == "float64") to_float64(module_);
      const torch::Tensor r_max = module_.attr("r_max").toTensor().to(torch::kCPU);
      dtype_ = r_max.scalar_type();
      info_.dtype = dtype_ == torch::kDouble ? "float64" : "float32";
      check_dtype(info_, dtype);
      info_.r_max = r_max.to(torch::kDouble).item<double>();
      if (!std::isfinite(info_.r_max) || info_.r_max <= 0.0)
        throw ModelError("the model file '" + info_.path + "' has a cutoff (r_max) of " +
                         to_text(info_.r_max) + " A: copy it again from its source");
      const torch::Tensor numbers =
          module_.attr("atomic_numbers").toTensor().to(torch::kCPU, torch::kLong).contiguous();
      const std::int64_t *const z = numbers.const_data_ptr<std::int64_t>();
      for (std::int64_t k = 0; k < numbers.numel(); ++k) {
        if (z[k] < 1 || z[k] > static_cast<std::int64_t>(std::size(ELEMENTS)))
          throw ModelError("the model file '" + info_.path + "' is for an atomic number " +
                           std::to_string(z[k]) + ": copy it again from its source");
        info_.type_names.emplace_back(ELEMENTS[z[k] - 1].symbol);
      }
    }

  protected:
    Results run(const GraphTensors &graph, const Wanted &wanted, std::int64_t /*chunk*/) override
    {
      const torch::Tensor all_local = torch::ones({graph.num_nodes()}, options());
      const c10::impl::GenericDict output =
          module_.forward({inputs(graph), all_local, wanted.virial}).toGenericDict();
      Results results;
      results.node_energies = output.at("node_energy").toTensor();
      results.forces = output.at("forces").toTensor();
      if (wanted.virial) results.virial = output.at("virials").toTensor();
      return results;
    }

  private:
    torch::jit::Module module_;
    torch::Dtype dtype_ = torch::kDouble;

    torch::TensorOptions options() const { return torch::dtype(dtype_).device(device_); }

    // MACE's edges run from sender (neighbour j) to receiver (centre i), and its vector is
    // r_i - r_j: both the opposite of ours.
    c10::Dict<std::string, torch::Tensor> inputs(const GraphTensors &graph) const
    {
      const torch::Tensor shifts = graph.edge_vectors.to(dtype_).neg();
      const auto num_types = static_cast<std::int64_t>(info_.type_names.size());
      const torch::TensorOptions integer = torch::dtype(torch::kLong).device(device_);
      c10::Dict<std::string, torch::Tensor> inputs;
      inputs.insert("positions", graph.zero_positions(dtype_));
      inputs.insert("cell", graph.unit_cell(dtype_));
      inputs.insert("edge_index", graph.edge_index.flip(0).contiguous());
      inputs.insert("shifts", shifts);
      inputs.insert("unit_shifts", shifts);
      inputs.insert("node_attrs", torch::one_hot(graph.types, num_types).to(dtype_));
      inputs.insert("batch", torch::zeros({graph.num_nodes()}, integer));
      inputs.insert("ptr", torch::arange(0, graph.num_nodes() + 1, graph.num_nodes(), integer));
      return inputs;
    }
  };

}    // namespace

std::unique_ptr<Model> load_mace(ModelInfo info, const std::string &dtype)
{
  return std::make_unique<MaceModel>(std::move(info), dtype);
}

}    // namespace mofmd
