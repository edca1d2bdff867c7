// NequIP and Allegro compiled ahead of time: .nequip.pt2 for the targets pair_nequip, pair_allegro.

#include "model/torch_model.h"

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <set>
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
      // One caller: without the events by which several would wait for each other, which no
      // recording of a GPU may hold.
      return std::make_unique<L>(path, /*model_name=*/"model", /*run_single_threaded=*/true,
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

  class AOTInductorModel : public TorchModel {
  public:
    AOTInductorModel(ModelInfo info, const std::string &inputs, const std::string &outputs) :
        TorchModel(std::move(info)), inputs_(words(inputs)), outputs_(words(outputs))
    {
      check_inputs();
      // A compiled model takes what it is given without a look (a wrong dtype gives garbage), so
      // GraphTensors gives what nequip-compile asks for: float64, int64, contiguous. Torch's own
      // check (AOTI_RUNTIME_CHECK_INPUTS) is of no use here: it also holds sizes to the range that
      // the compiler's tuning assumed, and refuses systems that the code handles.
      package_ = open_package<Loader>(info_.path, device_);
    }

  protected:
    Results run(const GraphTensors &graph, const Wanted & /*wanted*/,
                std::int64_t /*chunk*/) override
    {
      std::vector<torch::Tensor> arguments;
      arguments.reserve(inputs_.size());
      for (const std::string &name : inputs_) arguments.push_back(input(graph, name).contiguous());
      c10::InferenceMode no_autograd;
      const std::vector<torch::Tensor> outputs = package_->run(arguments);
      if (outputs.size() != outputs_.size())
        throw ModelError("the model file '" + info_.path + "' returned " +
                         std::to_string(outputs.size()) + " results, its metadata name " +
                         std::to_string(outputs_.size()));
      Results results;
      for (std::size_t k = 0; k < outputs.size(); ++k) {
        const std::string &name = outputs_[k];
        if (name == "atomic_energy") results.node_energies = outputs[k];
        if (name == "forces") results.forces = outputs[k];
        if (name == "virial") results.virial = outputs[k];
        if (name == "edge_gradients") results.edge_gradients = outputs[k];
      }
      return results;
    }

  private:
    std::vector<std::string> inputs_, outputs_;
    std::unique_ptr<Loader> package_;

    // A compiled model reads as many inputs as it has, however many it is given.
    void check_inputs() const
    {
      using Names = std::set<std::string>;
      static const Names of_positions{"pos", "edge_index", "atom_types"};
      static const Names displaced{"pos", "edge_index", "atom_types", "cell", "edge_cell_shift"};
      static const Names of_edges{"edge_vectors", "edge_index", "atom_types", "local_types"};
      const Names &known = info_.form == Form::positions   ? of_positions
                           : info_.form == Form::displaced ? displaced
                                                           : of_edges;
      if (inputs_.size() == known.size() && Names(inputs_.begin(), inputs_.end()) == known) return;
      std::string named;
      for (const std::string &name : inputs_) named += " " + name;
      throw ModelError("the model file '" + info_.path + "' records the inputs" + named +
                       ", which this version of mofmd does not know: update mofmd, or deploy it "
                       "again");
    }

    torch::Tensor input(const GraphTensors &graph, const std::string &name) const
    {
      if (name == "edge_index") return graph.edge_index;
      if (name == "atom_types") return graph.types;
      if (name == "local_types") return graph.local_types;
      if (name == "edge_cell_shift" || name == "edge_vectors") return graph.edge_vectors;
      if (name == "cell") return graph.unit_cell(torch::kDouble).view({1, 3, 3});
      return info_.form == Form::positions ? graph.positions()
                                           : graph.zero_positions(torch::kDouble);
    }
  };

}    // namespace

std::unique_ptr<Model> load_aotinductor(ModelInfo info, const std::string &inputs,
                                        const std::string &outputs)
{
  return std::make_unique<AOTInductorModel>(std::move(info), inputs, outputs);
}

}    // namespace mofmd
