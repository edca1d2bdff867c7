// Features of atoms from the scripted files of `mofmd deploy`: what the last layer says of each
// owned atom, before the energy is taken of it. Of a model without layers of nodes (Allegro), whose
// features are those of edges: their sum over the edges of an atom.

#ifndef MOFMD_FEATURES_H
#define MOFMD_FEATURES_H

#include "graph/tensors.h"

#include <torch/script.h>

#include <cstdint>

namespace mofmd {

// A module that does what the model's forward does, operation by operation, and returns the
// "features" (N_local, F) as well. Throws ModelError when the model has no parts that give them.
torch::jit::Module module_with_features(const torch::jit::Module &model);

// The features alone, layer by layer for `chunk` centres at a time, as LayeredGradientModel
// evaluates its layers (mofmd/models/export/layered.py). Collective where the model exchanges.
torch::Tensor features_in_chunks(const torch::jit::Module &model, const GraphTensors &graph,
                                 std::int64_t chunk, int num_layers);

}    // namespace mofmd

#endif
