// What models of all formats share: graphs in, results back, checked. A format says how one call
// of the model is made.

#ifndef MOFMD_TORCH_MODEL_H
#define MOFMD_TORCH_MODEL_H

#include "gpu/recorder.h"
#include "graph/fixed_graph.h"
#include "graph/tensors.h"
#include "model/model.h"

#include <string>

namespace mofmd {

// What a model gives, on its device. Forces or edge gradients, by its form.
struct Results {
  torch::Tensor node_energies;     // (N or N_local)
  torch::Tensor forces;            // (N, 3)
  torch::Tensor virial;            // (3, 3), or undefined
  torch::Tensor edge_gradients;    // (E, 3)
  torch::Tensor features;          // (N_local, F), or undefined
};

class TorchModel : public Model {
public:
  Evaluation evaluate(const Graph &graph, const Wanted &wanted, std::int64_t chunk) final;
  Evaluation evaluate(ResidentGraph &graph, const Wanted &wanted, std::int64_t chunk) final;

protected:
  explicit TorchModel(ModelInfo info) :
      Model(std::move(info)),
      device_(torch_device(info_.device)),
      recorders_{Recorder(device_), Recorder(device_), Recorder(device_), Recorder(device_)}
  {
  }
  virtual Results run(const GraphTensors &graph, const Wanted &wanted, std::int64_t chunk) = 0;

  const torch::Device device_;

private:
  Download download_;
  Recorder
      recorders_[4];    // of steps without and with virials of nodes, without and with features

  Evaluation evaluate_fixed(FixedGraph &graph, const Wanted &wanted);
  torch::Tensor fixed_results(const FixedGraph &graph, const Wanted &wanted);
  Results checked_run(const GraphTensors &graph, const Wanted &wanted, std::int64_t chunk);
  void check(const torch::Tensor &result, std::int64_t numel, const char *name) const;
};

// A network in float64 cannot be run in float32. Throws ModelError.
void check_dtype(const ModelInfo &info, const std::string &wanted);

std::unique_ptr<Model> load_torchscript(ModelInfo info);
std::unique_ptr<Model> load_mace(ModelInfo info, const std::string &dtype);
std::unique_ptr<Model> load_aotinductor(ModelInfo info, const std::string &inputs,
                                        const std::string &outputs);

}    // namespace mofmd

#endif
