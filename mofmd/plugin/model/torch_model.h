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
};

class TorchModel : public Model {
public:
  Evaluation evaluate(const Graph &graph, bool need_virial, std::int64_t chunk) final;
  Evaluation evaluate(ResidentGraph &graph, const Wanted &wanted, std::int64_t chunk) final;

protected:
  explicit TorchModel(ModelInfo info) :
      Model(std::move(info)),
      device_(torch_device(info_.device)),
      recorder_(device_),
      virials_recorder_(device_)
  {
  }
  virtual Results run(const GraphTensors &graph, bool need_virial, std::int64_t chunk) = 0;

  const torch::Device device_;

private:
  Download download_;
  Recorder recorder_, virials_recorder_;    // the second one of steps with virials of nodes

  Evaluation evaluate_fixed(FixedGraph &graph, const Wanted &wanted);
  torch::Tensor fixed_results(const FixedGraph &graph, bool node_virials);
  Results checked_run(const GraphTensors &graph, bool need_virial, std::int64_t chunk);
  void check(const torch::Tensor &result, std::int64_t numel, const char *name) const;
};

std::unique_ptr<Model> load_torchscript(ModelInfo info);
std::unique_ptr<Model> load_mace(ModelInfo info);
std::unique_ptr<Model> load_aotinductor(ModelInfo info, const std::string &inputs,
                                        const std::string &outputs);

}    // namespace mofmd

#endif
