// The commands of an input file: pair_style, pair_coeff, and the checks before a run.

#include "lammps/pair_mofmd.h"

#include "base/elements.h"
#include "base/reason.h"
#include "gpu/placement.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

#include <cmath>
#include <cstdlib>
#include <mpi.h>

using namespace LAMMPS_NS;

namespace mofmd {

namespace {

  std::string join(const std::vector<std::string> &words)
  {
    std::string text;
    for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
    return text;
  }

}    // namespace

PairMofmd::PairMofmd(LAMMPS *lmp, std::optional<Family> family) :
    Pair(lmp),
    family_(family),
    style_(std::string("pair_style ") + (family ? family_name(*family) : "mofmd"))
{
  manybody_flag = 1;
  one_coeff = 1;
  single_enable = 0;
  restartinfo = 0;
  no_virial_fdotr_compute = 1;    // the model gives the virial: right also without ghost forces
  centroidstressflag = CENTROID_NOTAVAIL;
  size_communication();
}

PairMofmd::~PairMofmd()
{
  restore_ghost_cutoff();
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

// A failure that some ranks may see and others not (a file that one node cannot read): all ranks
// learn of it and stop together. Collective; an empty message means no failure here.
void PairMofmd::fail_together(const std::string &message)
{
  const int mine = message.empty() ? comm->nprocs : comm->me;
  int first = comm->nprocs;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == comm->nprocs) return;
  int length = static_cast<int>(message.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  std::string text = comm->me == first ? message : std::string(length, ' ');
  MPI_Bcast(text.data(), length, MPI_CHAR, first, world);
  error->all(FLERR, style_ + ": " + text);
}

void PairMofmd::settings(int narg, char **arg)
{
  device_ = DeviceRequest{};
  dtype_.clear();
  chunking_ = Chunk::unset;
  chunk_ = 0;
  pairs_ = PairsFrom::automatic;
  for (int k = 0; k < narg; ++k) {
    const std::string word = arg[k];
    if (word == "device" && k + 1 < narg) {
      device_.name = arg[++k];
      if (!is_device_name(device_.name))
        error->all(FLERR, style_ + ": device must be auto, cpu, cuda or cuda:N, not '" +
                              device_.name + "'");
    } else if (word == "dtype" && k + 1 < narg) {
      dtype_ = arg[++k];
      if (dtype_ != "float32" && dtype_ != "float64")
        error->all(FLERR, style_ + ": dtype must be float32 or float64, not '" + dtype_ + "'");
    } else if (word == "chunk" && k + 1 < narg) {
      const std::string size = arg[++k];
      chunking_ = size == "auto" ? Chunk::automatic : size == "none" ? Chunk::none : Chunk::fixed;
      if (chunking_ == Chunk::fixed) chunk_ = utils::inumeric(FLERR, size, false, lmp);
      if (chunking_ == Chunk::fixed && chunk_ < 1)
        error->all(FLERR,
                   style_ + ": chunk must be a number of atoms, auto or none, not '" + size + "'");
    } else if (word == "graph" && k + 1 < narg) {
      const std::string where = arg[++k];
      if (where == "auto")
        pairs_ = PairsFrom::automatic;
      else if (where == "host")
        pairs_ = PairsFrom::host;
      else if (where == "list")
        pairs_ = PairsFrom::list;
      else if (where == "device")
        pairs_ = PairsFrom::device;
      else if (where == "fixed")
        pairs_ = PairsFrom::fixed;
      else
        error->all(FLERR, style_ + ": graph must be auto, host, list, device or fixed, not '" +
                              where + "'");
    } else if (family_ == Family::mace && word == "no_domain_decomposition") {
      // The option of LAMMPS's own pair_style mace: what ours does on one rank anyway.
    } else
      error->all(FLERR, style_ + ": unknown option '" + word +
                            "' (known: device auto|cpu|cuda[:N], dtype float32|float64, "
                            "chunk N|auto|none, graph auto|host|list|device|fixed)");
  }
}

void PairMofmd::check_units_and_ids()
{
  const std::string units = update->unit_style;
  if (units == "metal")
    energy_unit_ = 1.0;
  else if (units == "real")
    energy_unit_ = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  else
    error->all(FLERR, style_ +
                          " needs units metal or real (models are trained in eV and Angstrom), "
                          "not units " +
                          units);
  if (!atom->tag_enable)
    error->all(FLERR, style_ + " needs atoms with ids: remove 'atom_modify id no'");
}

void PairMofmd::coeff(int narg, char **arg)
{
  check_units_and_ids();
  if (narg < 3)
    error->all(FLERR,
               style_ + ": pair_coeff * * needs the model file and a name for each atom type");
  const std::string found = utils::get_potential_file_path(arg[2]);
  const std::string path = found.empty() ? arg[2] : found;
  keep_freed_memory();

  std::string failure;
  model_.reset();
  try {
    num_threads_ = set_threads_per_rank();
    device_.rank_on_node = rank_on_node(universe->me);
    model_ = load_model(path, family_, device_, dtype_);
    read_density();
  } catch (const std::exception &error) {
    failure = reason_of(error.what());
  }
  fail_together(failure);

  read_type_names(narg, arg);
  report_model();
  records_ = records_fixed_shapes(model_->info().device);
  fixed_calls_ = 0;
  if (!lmp->citeme) return;
  lmp->citeme->add(model_->info().citation);
  if (!model_->info().model_citation.empty()) lmp->citeme->add(model_->info().model_citation);
}

// Fills the map of types, setflag and cutsq from the names behind the file on pair_coeff.
void PairMofmd::read_type_names(int narg, char **arg)
{
  const ModelInfo &info = model_->info();
  const std::vector<std::string> &names = info.type_names;
  const int num_types = atom->ntypes;
  if (narg != 3 + num_types)
    error->all(FLERR, style_ + ": pair_coeff names " + std::to_string(narg - 3) +
                          " atom types, the system has " + std::to_string(num_types) +
                          " (one name for each type; the model knows: " + join(names) + ")");
  map_of_types_.num_model_types = static_cast<int>(names.size());
  map_of_types_.model_type.assign(num_types + 1, -1);
  for (int type = 1; type <= num_types; ++type) {
    const std::string name = arg[2 + type];
    if (name == "NULL") continue;
    for (std::size_t k = 0; k < names.size(); ++k)
      if (names[k] == name) map_of_types_.model_type[type] = static_cast<int>(k);
    if (map_of_types_.model_type[type] < 0)
      error->all(FLERR, style_ + ": the model '" + info.path + "' does not know '" + name +
                            "', given for atom type " + std::to_string(type) +
                            " (it knows: " + join(names) + "; NULL leaves a type out)");
  }
  map_of_types_.cutoff_sq.assign(names.size() * names.size(), info.r_max * info.r_max);
  for (std::size_t k = 0; k < info.cutoffs.size(); ++k)
    map_of_types_.cutoff_sq[k] = info.cutoffs[k] * info.cutoffs[k];

  if (!allocated) {
    memory->create(setflag, num_types + 1, num_types + 1, "pair:setflag");
    memory->create(cutsq, num_types + 1, num_types + 1, "pair:cutsq");
    allocated = 1;
  }
  // Within hybrid, another style may take care of the pairs that have no part in this one.
  const bool within_hybrid = force->pair_match("^hybrid", 0) != nullptr;
  const std::vector<int> &model_type = map_of_types_.model_type;
  for (int i = 1; i <= num_types; ++i)
    for (int j = 1; j <= num_types; ++j) {
      cutsq[i][j] = 0.0;
      setflag[i][j] = !within_hybrid || (model_type[i] >= 0 && model_type[j] >= 0);
    }
}

void PairMofmd::report_model()
{
  if (comm->me != 0) return;
  const ModelInfo &info = model_->info();
  if (!info.verified)
    error->warning(FLERR, style_ + ": the model file '" + info.path +
                              "' failed the checks of its physics when it was deployed (`mofmd "
                              "models show` lists them): do not trust its results");
  utils::logmesg(lmp, "{}: {} ({}, {}, r_max {} A) on {}, {} thread(s) per rank, torch {}\n",
                 style_, info.path, info.format, info.dtype, info.r_max, info.device, num_threads_,
                 loaded_torch_version());
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int k = map_of_types_.model_type[type];
    utils::logmesg(lmp, "  atom type {} is {}\n", type, k < 0 ? "NULL" : info.type_names[k]);
  }
}

void PairMofmd::warn_of_masses()
{
  if (!atom->mass || comm->me != 0) return;
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int k = map_of_types_.model_type[type];
    if (k < 0 || !atom->mass_setflag[type]) continue;
    const std::string &name = model_->info().type_names[k];
    const Element *const element = find_element(name);
    const double mass = atom->mass[type];
    if (element && std::abs(mass - element->mass) > 0.02 + 0.01 * element->mass)
      error->warning(FLERR,
                     fmt::format("{}: atom type {} has mass {} g/mol but pair_coeff calls it {}, "
                                 "which has {} g/mol: check the order of the names",
                                 style_, type, mass, name, element->mass));
  }
}

void PairMofmd::init_style()
{
  if (!model_) error->all(FLERR, style_ + ": pair_coeff is missing");
  const ModelInfo &info = model_->info();
  if (comm->nprocs > 1 && !info.strictly_local && !info.exchanges)
    error->all(FLERR, fmt::format("{}: the message-passing model '{}' runs on one MPI rank only, "
                                  "this run has {}: start it on one rank, or write a file that "
                                  "runs on any number with `mofmd deploy`",
                                  style_, info.path, comm->nprocs));
  if ((chunking_ == Chunk::fixed || chunking_ == Chunk::automatic) && !evaluates_in_chunks())
    error->all(FLERR,
               fmt::format("{}: the message-passing model '{}' cannot be evaluated in "
                           "chunks: only TorchScript files of `mofmd deploy` can; more ranks "
                           "divide its memory, too",
                           style_, info.path));
  if (chunking_ == Chunk::unset && info.strictly_local && info.device == "cpu") chunk_ = CPU_CHUNK;
  estimated_memory_ = false;
  size_communication();
  reach_displaced_atoms();
  // Bonded neighbours with factor zero are left out of the neighbour list, and so of the model.
  const bool leaves_out_bonded = [this] {
    for (int k = 1; k <= 3; ++k)
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0) return true;
    return false;
  }();
  if (leaves_out_bonded && atom->molecular != Atom::ATOMIC && atom->nbonds > 0)
    error->all(FLERR, style_ +
                          ": the system has bonds, and special_bonds takes bonded pairs out of "
                          "the neighbour list: add 'special_bonds lj/coul 1.0 1.0 1.0'");
  warn_of_masses();
  choose_pairs();
  if (resident_ && !takes_list_) return;    // LAMMPS need not make one
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

// Where the pairs of atoms come from. What LAMMPS leaves out of its lists can only be known from
// them.
void PairMofmd::choose_pairs()
{
  const bool leaves_out_pairs = neighbor->nex_type > 0 || neighbor->nex_group > 0 ||
                                neighbor->nex_mol > 0 || neighbor->includegroup > 0;
  PairsFrom from = pairs_;
  if (from == PairsFrom::automatic)
    from = model_->info().device == "cpu"          ? PairsFrom::host
           : leaves_out_pairs                      ? PairsFrom::list
           : !why_not_fixed().empty() || !records_ ? PairsFrom::device
                                                   : PairsFrom::fixed;
  const bool is_fixed = from == PairsFrom::fixed;
  if (is_fixed && !why_not_fixed().empty())
    error->all(FLERR, style_ + ": 'graph fixed' " + why_not_fixed());
  if ((from == PairsFrom::device || is_fixed) && leaves_out_pairs)
    error->all(FLERR, fmt::format("{}: 'graph {}' finds all pairs, but neigh_modify excludes some: "
                                  "use 'graph list'",
                                  style_, is_fixed ? "fixed" : "device"));
  if (is_fixed) chunk_ = 0;
  takes_list_ = from == PairsFrom::host || from == PairsFrom::list;
  resident_.reset();
  if (from != PairsFrom::host) resident_ = make_resident_graph(model_->info().device, is_fixed);
}

// Fixed sizes: no atoms that come from other ranks, no parts of different sizes.
std::string PairMofmd::why_not_fixed() const
{
  if (comm->nprocs > 1)
    return fmt::format("is for one MPI rank, this run has {}: use 'graph device'", comm->nprocs);
  if (chunking_ == Chunk::fixed || chunking_ == Chunk::automatic)
    return "evaluates all atoms at once: leave out 'chunk'";
  if (!gives_edge_gradients())
    return "needs a file in mofmd's edge-gradient form: write one with `mofmd deploy`";
  return "";
}

double PairMofmd::init_one(int i, int j)
{
  const int model_i = map_of_types_.model_type[i], model_j = map_of_types_.model_type[j];
  if (model_i < 0 || model_j < 0) return 0.0;
  return list_range_ * std::sqrt(std::max(map_of_types_.cutoff_squared(model_i, model_j),
                                          map_of_types_.cutoff_squared(model_j, model_i)));
}

}    // namespace mofmd
