// MACE as mace_create_lammps_model writes it (X.model-lammps.pt).

#include "elements.h"
#include "tensors.h"

#include <torch/script.h>

namespace mofmd {

namespace {

  class MaceModel : public Model {
  public:
    explicit MaceModel(ModelInfo info) :
        Model(std::move(info)),
        device_(torch_device(info_.device)),
        module_(torch::jit::load(info_.path, device_))
    {
      module_.eval();
      const torch::Tensor r_max = module_.attr("r_max").toTensor().to(torch::kCPU);
      dtype_ = r_max.scalar_type();
      info_.dtype = dtype_ == torch::kDouble ? "float64" : "float32";
      info_.r_max = r_max.to(torch::kDouble).item<double>();
      const torch::Tensor numbers =
          module_.attr("atomic_numbers").toTensor().to(torch::kCPU, torch::kLong).contiguous();
      const std::int64_t *const z = numbers.const_data_ptr<std::int64_t>();
      for (std::int64_t k = 0; k < numbers.numel(); ++k) {
        if (z[k] < 1 || z[k] > static_cast<std::int64_t>(std::size(ELEMENTS)))
          throw ModelError("atomic number " + std::to_string(z[k]) + " is unknown");
        info_.type_names.emplace_back(ELEMENTS[z[k] - 1].symbol);
      }
    }

    Evaluation evaluate(const Graph &graph, bool need_virial, std::int64_t /*chunk*/) override
    {
      const c10::impl::GenericDict output =
          module_.forward({inputs(graph), torch::ones({graph.num_nodes}, options()), need_virial})
              .toGenericDict();
      Evaluation evaluation;
      energies_ = to_host(output.at("node_energy").toTensor(), graph.num_nodes, "node_energy");
      forces_ = to_host(output.at("forces").toTensor(), 3 * graph.num_nodes, "forces");
      evaluation.node_energies = energies_.const_data_ptr<double>();
      evaluation.forces = forces_.const_data_ptr<double>();
      if (need_virial) {
        virial_ = to_host(output.at("virials").toTensor(), 9, "virials");
        evaluation.virial = virial_.const_data_ptr<double>();
      }
      return evaluation;
    }

  private:
    torch::Device device_;
    torch::jit::Module module_;
    torch::Dtype dtype_ = torch::kDouble;
    torch::Tensor energies_, forces_, virial_;

    torch::TensorOptions options() const { return torch::dtype(dtype_).device(device_); }

    // MACE's edges run from sender (neighbour j) to receiver (centre i), and its vector is
    // r_i - r_j: both the opposite of ours.
    c10::Dict<std::string, torch::Tensor> inputs(const Graph &graph) const
    {
      const GraphTensors tensors(graph, device_);
      const torch::Tensor shifts = tensors.edge_vectors(dtype_).neg();
      const auto num_types = static_cast<std::int64_t>(info_.type_names.size());
      const torch::TensorOptions integer = torch::dtype(torch::kLong).device(device_);
      c10::Dict<std::string, torch::Tensor> inputs;
      inputs.insert("positions", tensors.zero_positions(dtype_));
      inputs.insert("cell", tensors.unit_cell(dtype_));
      inputs.insert("edge_index", tensors.edge_index().flip(0).contiguous());
      inputs.insert("shifts", shifts);
      inputs.insert("unit_shifts", shifts);
      inputs.insert("node_attrs", torch::one_hot(tensors.types(), num_types).to(dtype_));
      inputs.insert("batch", torch::zeros({graph.num_nodes}, integer));
      inputs.insert("ptr", torch::arange(0, graph.num_nodes + 1, graph.num_nodes, integer));
      return inputs;
    }
  };

}    // namespace

std::unique_ptr<Model> load_mace(ModelInfo info)
{
  return std::make_unique<MaceModel>(std::move(info));
}

}    // namespace mofmd
