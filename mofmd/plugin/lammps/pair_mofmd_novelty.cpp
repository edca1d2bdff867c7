// How new the surroundings of atoms are to the model, on request: `fix NAME all pair N STYLE
// novelty 1` asks for it every N steps and keeps it as a vector of atoms, which any dump, reduction
// or halt takes.

#include "lammps/pair_mofmd.h"

#include "atom.h"
#include "error.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;

namespace mofmd {

void PairMofmd::read_density()
{
  const ModelInfo &info = model_->info();
  density_.reset();
  if (info.density.empty()) return;
  try {
    density_ = std::make_unique<Density>(info.density, info.type_names, info.payload_sha256);
  } catch (const ModelError &error) {
    throw ModelError("the model file '" + info.path + "': " + error.what());
  }
}

void PairMofmd::require_density()
{
  if (density_ && model_->info().gives_features) return;
  if (!model_) error->all(FLERR, style_ + ": novelty is asked for before pair_coeff: move the fix");
  error->all(FLERR, style_ + ": the model file '" + model_->info().path + "' " +
                        (density_ ? "cannot tell how new atoms are to it: only TorchScript files "
                                    "of `mofmd deploy` can"
                                  : "holds no density of features, by which it would tell how new "
                                    "atoms are to it: add one with `mofmd learn density fit`"));
}

// What a step is for.
Wanted PairMofmd::wanted() const
{
  Wanted wanted;
  wanted.virial = vflag_either != 0;
  wanted.node_virials = vflag_atom != 0;
  wanted.features = wants_novelty_ != 0;
  return wanted;
}

void PairMofmd::clear_novelty()
{
  if (wants_novelty_ != 0) novelty_.assign(std::max(1, atom->nlocal), 0.0);
}

void PairMofmd::score(const Nodes &nodes, const Evaluation &evaluation)
{
  if (evaluation.num_features != static_cast<std::int64_t>(density_->width()))
    throw ModelError(fmt::format("the density of the model file is of {} features, the model has "
                                 "{}: fit it again with `mofmd learn density fit`",
                                 density_->width(), evaluation.num_features));
  for (std::int64_t k = 0; k < nodes.num_local_nodes; ++k) {
    const int i = nodes.node_atom[k];
    novelty_[i] = density_->score(map_of_types_.model_type[atom->type[i]],
                                  evaluation.features + k * evaluation.num_features);
  }
}

// For fix pair: the flag by which it asks for the novelty of a step.
void *PairMofmd::extract(const char *name, int &dim)
{
  if (std::strcmp(name, "novelty_flag") != 0) return nullptr;
  require_density();
  dim = 0;
  return &wants_novelty_;
}

void *PairMofmd::extract_peratom(const char *name, int &ncol)
{
  if (std::strcmp(name, "novelty") != 0) return nullptr;
  require_density();
  ncol = 0;
  const std::size_t size = std::max(1, atom->nlocal);
  if (novelty_.size() < size) novelty_.resize(size, 0.0);    // before the first such step
  return novelty_.data();
}

}    // namespace mofmd
