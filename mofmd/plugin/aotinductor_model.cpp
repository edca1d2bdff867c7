// NequIP and Allegro compiled ahead of time: .nequip.pt2 for the targets pair_nequip, pair_allegro.

#include "tensors.h"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <sstream>
#include <type_traits>

namespace mofmd {

namespace {

  using Loader = torch::inductor::AOTIModelPackageLoader;

  // The device index became an argument of the constructor in torch 2.8.
  template <typename L>
  std::unique_ptr<L> open_package(const std::string &path, torch::Device device)
  {
    if constexpr (std::is_constructible_v<L, std::string, std::string, bool, std::size_t,
                                          c10::DeviceIndex>)
      return std::make_unique<L>(path, /*model_name=*/"model", /*run_single_threaded=*/false,
                                 /*num_runners=*/std::size_t{1}, device.index());
    else
      return std::make_unique<L>(path, /*model_name=*/"model");
  }

  std::vector<std::string> words(const std::string &text)
  {
    std::istringstream stream(text);
    std::vector<std::string> list;
    for (std::string word; stream >> word;) list.push_back(word);
    return list;
  }

  class AOTInductorModel : public Model {
  public:
    AOTInductorModel(ModelInfo info, const std::string &inputs, const std::string &outputs) :
        Model(std::move(info)),
        device_(torch_device(info_.device)),
        inputs_(words(inputs)),
        outputs_(words(outputs))
    {
      // A compiled model takes what it is given without a look (a wrong dtype gives garbage), so
      // GraphTensors gives what nequip-compile asks for: float64, int64, contiguous. Torch's own
      // check (AOTI_RUNTIME_CHECK_INPUTS) is of no use here: it also holds sizes to the range that
      // the compiler's tuning assumed, and refuses systems that the code handles.
      package_ = open_package<Loader>(info_.path, device_);
    }

    Evaluation evaluate(const Graph &graph, bool /*need_virial*/, std::int64_t /*chunk*/) override
    {
      TransferTimer timer(device_);
      const GraphTensors tensors(graph, device_);
      std::vector<torch::Tensor> arguments;
      for (const std::string &name : inputs_) arguments.push_back(input(tensors, name));
      Evaluation evaluation;
      evaluation.transfer_seconds = timer.lap();
      c10::InferenceMode no_autograd;
      const std::vector<torch::Tensor> results = package_->run(arguments);
      if (results.size() != outputs_.size())
        throw ModelError("the model file '" + info_.path + "' returned " +
                         std::to_string(results.size()) + " results, its metadata name " +
                         std::to_string(outputs_.size()));
      timer.lap();
      for (std::size_t k = 0; k < results.size(); ++k)
        keep(evaluation, outputs_[k], results[k], graph);
      evaluation.transfer_seconds += timer.lap();
      return evaluation;
    }

  private:
    torch::Device device_;
    std::vector<std::string> inputs_, outputs_;
    std::unique_ptr<Loader> package_;
    torch::Tensor energies_, forces_, virial_, edge_gradients_;

    torch::Tensor input(const GraphTensors &tensors, const std::string &name) const
    {
      if (name == "edge_index") return tensors.edge_index();
      if (name == "atom_types") return tensors.types();
      if (name == "local_types") return tensors.local_types();
      if (name == "edge_cell_shift" || name == "edge_vectors")
        return tensors.edge_vectors(torch::kDouble);
      if (name == "cell") return tensors.unit_cell(torch::kDouble).view({1, 3, 3});
      return info_.form == Form::positions ? tensors.positions(torch::kDouble)
                                           : tensors.zero_positions(torch::kDouble);
    }

    void keep(Evaluation &evaluation, const std::string &name, const torch::Tensor &result,
              const Graph &graph)
    {
      const auto store = [&](torch::Tensor &held, std::int64_t numel) {
        held = to_host(result, numel, name.c_str());
        return held.const_data_ptr<double>();
      };
      if (name == "atomic_energy")
        evaluation.node_energies = store(energies_, num_energies(result, graph));
      else if (name == "forces")
        evaluation.forces = store(forces_, 3 * graph.num_nodes);
      else if (name == "virial")
        evaluation.virial = store(virial_, 9);
      else if (name == "edge_gradients")
        evaluation.edge_gradients = store(edge_gradients_, 3 * graph.num_edges);
    }
  };

}    // namespace

std::unique_ptr<Model> load_aotinductor(ModelInfo info, const std::string &inputs,
                                        const std::string &outputs)
{
  return std::make_unique<AOTInductorModel>(std::move(info), inputs, outputs);
}

}    // namespace mofmd
