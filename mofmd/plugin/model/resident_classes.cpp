// Models and dispersion for programs without LAMMPS, as classes of torch (torch.classes.mofmd.*):
// atoms of one process, with their periodic images as ghosts. What LAMMPS does on one rank.

#include "base/reason.h"
#include "dispersion/dispersion.h"
#include "exchange/exchange.h"
#include "model/model.h"

#include <torch/custom_class.h>
#include <torch/library.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

namespace mofmd {

namespace {

  // Atoms, then ghosts. Positions (num_all, 3) float64; kinds (num_all) of atoms, counted from 0;
  // owners (num_all): of an atom itself, of a ghost the atom whose image it is; all int64.
  class Atoms {
  public:
    void take(const torch::Tensor &positions, const torch::Tensor &kinds,
              const torch::Tensor &owners, std::int64_t num_local, std::int64_t num_kinds)
    {
      const std::int64_t num_all = kinds.numel();
      if (num_local < 0 || num_local > num_all || owners.numel() != num_all)
        throw ModelError("atoms and ghosts need a kind and an owner each");
      num_local_ = static_cast<int>(num_local);
      types_ = numbers(kinds, num_kinds, "kind", /*plus=*/1);    // LAMMPS counts from 1
      owners_ = numbers(owners, num_local, "owner", /*plus=*/0);
      move(positions);
    }

    void move(const torch::Tensor &positions)
    {
      if (positions.dim() != 2 || positions.size(1) != 3 ||
          positions.size(0) != static_cast<std::int64_t>(types_.size()) ||
          positions.scalar_type() != torch::kDouble || !positions.is_cpu())
        throw ModelError("positions have three float64 numbers for each atom and ghost");
      positions_ = positions.contiguous();
      rows_.resize(types_.size());
      const double *const x = positions_.const_data_ptr<double>();
      for (std::size_t k = 0; k < rows_.size(); ++k) rows_[k] = x + 3 * k;
    }

    AtomArrays arrays(bool has_owners) const
    {
      return {num_local_, static_cast<int>(types_.size()), rows_.data(), types_.data(),
              has_owners ? owners_.data() : nullptr};
    }

    int num_local() const { return num_local_; }
    const std::vector<int> &owners() const { return owners_; }

  private:
    int num_local_ = 0;
    std::vector<int> types_, owners_;
    torch::Tensor positions_;
    std::vector<const double *> rows_;

    static std::vector<int> numbers(const torch::Tensor &tensor, std::int64_t past,
                                    const std::string &what, int plus)
    {
      const torch::Tensor here = tensor.to(torch::kCPU, torch::kLong).contiguous();
      const std::int64_t *const values = here.const_data_ptr<std::int64_t>();
      std::vector<int> result(here.numel());
      for (std::size_t k = 0; k < result.size(); ++k) {
        if (values[k] < 0 || values[k] >= past)
          throw ModelError("an atom has the " + what + " " + std::to_string(values[k]) +
                           ", expected 0 to " + std::to_string(past - 1));
        result[k] = static_cast<int>(values[k]) + plus;
      }
      return result;
    }
  };

  torch::Tensor table(std::initializer_list<std::int64_t> shape)
  {
    return torch::zeros(shape, torch::dtype(torch::kDouble));
  }

  // Torch repeats a reason with the code around it.
  template <typename Act> auto plainly(Act act)
  {
    try {
      return act();
    } catch (const std::exception &error) {
      throw ModelError(reason_of(error.what()));
    }
  }

  class ResidentModel final : public torch::CustomClassHolder {
  public:
    ResidentModel(std::string path, std::string family, std::string device, std::string dtype)
    {
      keep_freed_memory();
      model_ = plainly(
          [&] { return load_model(path, family_of_name(family), {device, /*rank=*/0}, dtype); });
      const ModelInfo &info = model_->info();
      graph_ = make_resident_graph(info.device, /*has_fixed_shapes=*/false);
      const std::size_t num_types = info.type_names.size();
      map_.num_model_types = static_cast<int>(num_types);
      map_.model_type.assign(1, -1);
      for (std::size_t k = 0; k < num_types; ++k) map_.model_type.push_back(static_cast<int>(k));
      map_.cutoff_sq.assign(num_types * num_types, info.r_max * info.r_max);
      for (std::size_t k = 0; k < info.cutoffs.size(); ++k)
        map_.cutoff_sq[k] = info.cutoffs[k] * info.cutoffs[k];
    }

    std::vector<std::string> type_names() const { return model_->info().type_names; }
    double r_max() const { return model_->info().r_max; }
    std::string device() const { return model_->info().device; }
    std::string dtype() const { return model_->info().dtype; }
    std::string format() const { return model_->info().format; }

    // Other atoms, or atoms that have moved by more than half the skin [Å].
    void place(torch::Tensor positions, torch::Tensor types, torch::Tensor owners,
               std::int64_t num_local, double skin)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      plainly([&] {
        atoms_.take(positions, types, owners, num_local, map_.num_model_types);
        graph_->rebuild(atoms_.arrays(images_are_atoms()), nullptr, map_, skin);
      });
    }

    // Energies (num_local), forces (num_local, 3) and the virial (3, 3), -dE/d(strain), which is
    // empty where the model gives none: eV and Å.
    std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> evaluate(torch::Tensor positions)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      return plainly([&] {
        atoms_.move(positions);
        return evaluate_placed();
      });
    }

    // Features (num_local, F) of atoms, `chunk` at a time or all at once (0).
    torch::Tensor features(torch::Tensor positions, std::int64_t chunk)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      return plainly([&] {
        atoms_.move(positions);
        return features_placed(chunk);
      });
    }

  private:
    std::unique_ptr<Model> model_;
    std::unique_ptr<ResidentGraph> graph_;
    TypeMap map_;
    Atoms atoms_;
    std::mutex mutex_;    // what the model gives is overwritten by the next call

    // Ghosts need not be nodes of their own, unless the model takes positions only.
    bool images_are_atoms() const { return model_->info().form != Form::positions; }

    torch::Tensor features_placed(std::int64_t chunk)
    {
      const ModelInfo &info = model_->info();
      if (!info.gives_features)
        throw ModelError("the model file '" + info.path +
                         "' gives no features of its atoms: only TorchScript files of `mofmd "
                         "deploy` do");
      const std::int64_t num_local = atoms_.num_local();
      if (num_local == 0) return table({0, 0});
      const AtomArrays arrays = atoms_.arrays(/*has_owners=*/true);
      graph_->move(arrays);
      const std::vector<std::int64_t> sent;
      const ExchangeScope exchange(*graph_, arrays.num_all, sent, /*communicator=*/nullptr);
      Wanted wanted;
      wanted.features = true;
      const Evaluation found = model_->evaluate(*graph_, wanted, chunk);
      torch::Tensor features = table({num_local, found.num_features});
      double *const rows = features.mutable_data_ptr<double>();
      for (std::int64_t k = 0; k < graph_->num_local_nodes; ++k)
        std::copy_n(found.features + k * found.num_features, found.num_features,
                    rows + graph_->node_atom[k] * found.num_features);
      return features;
    }

    std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> evaluate_placed()
    {
      const std::int64_t num_local = atoms_.num_local();
      torch::Tensor energies = table({num_local}), forces = table({num_local, 3});
      if (num_local == 0) return {energies, forces, table({3, 3})};
      const AtomArrays arrays = atoms_.arrays(images_are_atoms());
      graph_->move(arrays);
      const std::vector<std::int64_t> sent;
      const ExchangeScope exchange(*graph_, arrays.num_all, sent, /*communicator=*/nullptr);
      const ModelInfo &info = model_->info();
      Wanted wanted;
      wanted.virial = true;
      const Evaluation found = model_->evaluate(
          *graph_, wanted, info.strictly_local && info.device == "cpu" ? CPU_CHUNK : 0);
      std::copy_n(found.node_energies, num_local, energies.mutable_data_ptr<double>());
      double *const f = forces.mutable_data_ptr<double>();
      for (std::int64_t k = 0; k < graph_->num_nodes; ++k) {
        const std::int64_t atom = atoms_.owners()[graph_->node_atom[k]];
        for (int d = 0; d < 3; ++d) f[3 * atom + d] += found.forces[3 * k + d];
      }
      torch::Tensor virial = found.virial ? table({3, 3}) : table({0});
      if (found.virial) std::copy_n(found.virial, 9, virial.mutable_data_ptr<double>());
      return {energies, forces, virial};
    }
  };

  class ResidentDispersion final : public torch::CustomClassHolder {
  public:
    // `coefficients`: the text of the file that pair_style d3 reads; `names`: the kinds of atoms.
    ResidentDispersion(std::string coefficients, std::vector<std::string> names, double cutoff,
                       std::string device)
    {
      plainly([&] {
        const DispersionParameters parameters =
            parse_dispersion_parameters(coefficients, "coefficients of D3");
        const std::vector<DispersionElement> &elements = parameters.elements;
        std::vector<int> element_of_type(1, -1);
        for (const std::string &name : names) {
          const auto is_it = [&](const DispersionElement &e) { return e.name == name; };
          const auto found = std::find_if(elements.begin(), elements.end(), is_it);
          if (found == elements.end()) throw ModelError("no coefficients of " + name);
          element_of_type.push_back(static_cast<int>(found - elements.begin()));
        }
        num_kinds_ = static_cast<std::int64_t>(names.size());
        dispersion_ = std::make_unique<Dispersion>(
            parameters, element_of_type, make_range(cutoff, std::min(D3_WIDTH, 0.5 * cutoff)),
            make_range(D3_COORDINATION_CUTOFF, D3_WIDTH), find_device({device, /*rank=*/0}));
      });
      reach_ = std::max(cutoff, D3_COORDINATION_CUTOFF);
    }

    double reach() const { return reach_; }    // how far ghosts are needed [Å]

    // As those of a model; kinds are places in `names`.
    void place(torch::Tensor positions, torch::Tensor kinds, torch::Tensor owners,
               std::int64_t num_local, double skin)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      plainly([&] {
        atoms_.take(positions, kinds, owners, num_local, num_kinds_);
        dispersion_->rebuild(atoms_.arrays(false), skin);
      });
    }

    std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> evaluate(torch::Tensor positions)
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      return plainly([&] {
        atoms_.move(positions);
        return evaluate_placed();
      });
    }

  private:
    std::unique_ptr<Dispersion> dispersion_;
    std::int64_t num_kinds_ = 0;
    double reach_ = 0.0;
    Atoms atoms_;
    std::mutex mutex_;

    void copy_to_ghosts(std::vector<double> &of_atom) const
    {
      for (std::size_t k = atoms_.num_local(); k < of_atom.size(); ++k)
        of_atom[k] = of_atom[atoms_.owners()[k]];
    }

    std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> evaluate_placed()
    {
      dispersion_->move(atoms_.arrays(false).x);
      std::vector<double> of_atom(atoms_.owners().size());
      dispersion_->count_neighbours(of_atom.data());
      copy_to_ghosts(of_atom);
      dispersion_->sum_pairs(of_atom.data(), /*wants_virial=*/true);
      copy_to_ghosts(of_atom);
      dispersion_->add_chain_forces(of_atom.data());

      const std::int64_t num_local = atoms_.num_local();
      torch::Tensor energies = table({num_local}), forces = table({num_local, 3}),
                    virial = table({3, 3});
      double *const e = energies.mutable_data_ptr<double>();
      double *const f = forces.mutable_data_ptr<double>();
      double *const w = virial.mutable_data_ptr<double>();
      constexpr int voigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
      const std::vector<int> &centres = dispersion_->centre_atom();
      for (std::size_t c = 0; c < centres.size(); ++c) {
        e[centres[c]] = dispersion_->energy()[c];
        std::copy_n(&dispersion_->force()[3 * c], 3, f + 3 * static_cast<std::size_t>(centres[c]));
        for (int k = 0; k < 6; ++k) {
          const auto [a, b] = voigt[k];
          w[3 * a + b] += dispersion_->virial()[6 * c + k];
          if (a != b) w[3 * b + a] = w[3 * a + b];
        }
      }
      return {energies, forces, virial};
    }
  };

}    // namespace

}    // namespace mofmd

TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  library.class_<mofmd::ResidentModel>("Model")
      .def(torch::init<std::string, std::string, std::string, std::string>())
      .def("type_names", &mofmd::ResidentModel::type_names)
      .def("r_max", &mofmd::ResidentModel::r_max)
      .def("device", &mofmd::ResidentModel::device)
      .def("dtype", &mofmd::ResidentModel::dtype)
      .def("format", &mofmd::ResidentModel::format)
      .def("place", &mofmd::ResidentModel::place)
      .def("evaluate", &mofmd::ResidentModel::evaluate)
      .def("features", &mofmd::ResidentModel::features);
  library.class_<mofmd::ResidentDispersion>("Dispersion")
      .def(torch::init<std::string, std::vector<std::string>, double, std::string>())
      .def("reach", &mofmd::ResidentDispersion::reach)
      .def("place", &mofmd::ResidentDispersion::place)
      .def("evaluate", &mofmd::ResidentDispersion::evaluate);
}
