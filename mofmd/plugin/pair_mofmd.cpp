#include "pair_mofmd.h"

#include "elements.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <mpi.h>

using namespace LAMMPS_NS;

namespace mofmd {

namespace {

  class Stopwatch {
  public:
    double lap()    // seconds since the last lap
    {
      const auto now = std::chrono::steady_clock::now();
      const std::chrono::duration<double> elapsed = now - last_;
      last_ = now;
      return elapsed.count();
    }

  private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  };

  // Which of a node's processes this is, over all partitions: launchers say so in the environment.
  // Without a launcher, or one that does not, the rank itself, which is right on one node.
  int rank_on_node(const Universe &universe)
  {
    for (const char *name : {"MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID",
                             "MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "FLUX_TASK_LOCAL_ID"})
      if (const char *const text = std::getenv(name)) return std::atoi(text);
    return universe.me;
  }

  std::string join(const std::vector<std::string> &words)
  {
    std::string text;
    for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
    return text;
  }

}    // namespace

PairMofmd::PairMofmd(LAMMPS *lmp, Family family) :
    Pair(lmp), family_(family), style_(std::string("pair_style ") + family_name(family))
{
  manybody_flag = 1;
  one_coeff = 1;
  single_enable = 0;
  restartinfo = 0;
  no_virial_fdotr_compute = 1;    // the model gives the virial: right also without ghost forces
  centroidstressflag = CENTROID_NOTAVAIL;
  comm_forward = 1;        // owners
  comm_reverse_off = 3;    // forces on ghosts, with newton off
}

PairMofmd::~PairMofmd()
{
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
  MPI_Bcast(&text[0], length, MPI_CHAR, first, world);
  error->all(FLERR, style_ + ": " + text);
}

void PairMofmd::settings(int narg, char **arg)
{
  device_ = DeviceRequest{};
  for (int k = 0; k < narg; ++k) {
    const std::string word = arg[k];
    if (word == "device" && k + 1 < narg) {
      device_.name = arg[++k];
      if (device_.name != "auto" && device_.name != "cpu" && device_.name != "cuda")
        error->all(FLERR,
                   style_ + ": device must be auto, cpu or cuda, not '" + device_.name + "'");
    } else if (family_ == Family::mace && word == "no_domain_decomposition") {
      // The option of LAMMPS's own pair_style mace: what ours does on one rank anyway.
    } else
      error->all(FLERR, style_ + ": unknown option '" + word + "' (known: device auto|cpu|cuda)");
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
  num_threads_ = set_threads_per_rank();
  device_.rank_on_node = rank_on_node(*universe);

  std::string failure;
  model_.reset();
  try {
    model_ = load_model(path, family_, device_);
  } catch (const std::exception &error) {
    failure = error.what();
  }
  fail_together(failure);

  read_type_names(narg, arg);
  report_model();
  if (lmp->citeme) lmp->citeme->add(model_->info().citation);
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
  if (comm->nprocs > 1 && !info.strictly_local)
    error->all(FLERR, fmt::format("{}: the message-passing model '{}' runs on one MPI rank only, "
                                  "this run has {}: start it on one rank, or use an Allegro model",
                                  style_, info.path, comm->nprocs));
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
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairMofmd::init_one(int i, int j)
{
  const int model_i = map_of_types_.model_type[i], model_j = map_of_types_.model_type[j];
  if (model_i < 0 || model_j < 0) return 0.0;
  return std::sqrt(std::max(map_of_types_.cutoff_squared(model_i, model_j),
                            map_of_types_.cutoff_squared(model_j, model_i)));
}

// On one rank a ghost is an image of an owned atom and need not be a node of its own, unless the
// model takes positions only.
bool PairMofmd::ghosts_are_nodes() const
{
  return comm->nprocs > 1 || model_->info().form == Form::positions;
}

bool PairMofmd::gives_edge_gradients() const
{
  return model_->info().form == Form::edge_gradients;
}

// LAMMPS's own communication carries each atom's index to its ghosts: right for ids with gaps,
// any cell and any boundary.
void PairMofmd::find_owners()
{
  const int num_all = atom->nlocal + atom->nghost;
  if (neighbor->ago != 0 && static_cast<int>(owner_.size()) == num_all) return;
  owner_.resize(num_all);
  for (int i = 0; i < atom->nlocal; ++i) owner_[i] = i;
  comm->forward_comm(this);
}

int PairMofmd::pack_forward_comm(int n, int *list, double *buf, int /*pbc_flag*/, int * /*pbc*/)
{
  for (int k = 0; k < n; ++k) buf[k] = owner_[list[k]];
  return n;
}

void PairMofmd::unpack_forward_comm(int n, int first, double *buf)
{
  for (int k = 0; k < n; ++k) owner_[first + k] = static_cast<int>(buf[k]);
}

int PairMofmd::pack_reverse_comm(int n, int first, double *buf)
{
  const double *const begin = &atom_forces_[3 * static_cast<std::size_t>(first)];
  std::copy(begin, begin + 3 * static_cast<std::size_t>(n), buf);
  return 3 * n;
}

void PairMofmd::unpack_reverse_comm(int n, int *list, double *buf)
{
  for (int k = 0; k < n; ++k)
    for (int d = 0; d < 3; ++d)
      atom_forces_[3 * static_cast<std::size_t>(list[k]) + d] += buf[3 * k + d];
}

void PairMofmd::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  check_request();
  std::string failure;
  try {
    evaluate();
  } catch (const std::exception &error) {
    failure = error.what();
  }
  // Not collective: the other ranks may be past this step. LAMMPS aborts them all.
  if (!failure.empty())
    error->one(FLERR, fmt::format("{}: step {}, rank {}: {}", style_, update->ntimestep, comm->me,
                                  failure));
  if (ghosts_are_nodes() && !force->newton_pair) {
    comm->reverse_comm(this, /*size=*/3);    // without a size, comm_style tiled forgets newton off
    for (int i = 0; i < atom->nlocal; ++i)
      for (int d = 0; d < 3; ++d)
        atom->f[i][d] += atom_forces_[3 * static_cast<std::size_t>(i) + d];
  }
}

void PairMofmd::check_request()
{
  if (vflag_atom && !gives_edge_gradients())
    error->all(FLERR, style_ + ": the model '" + model_->info().path +
                          "' gives no per-atom virial (compute stress/atom and the like): only "
                          "files in mofmd's edge-gradient form do");
}

void PairMofmd::evaluate()
{
  Stopwatch watch;
  if (!ghosts_are_nodes()) find_owners();
  const AtomArrays atoms{atom->nlocal, atom->nlocal + atom->nghost, atom->x, atom->type,
                         ghosts_are_nodes() ? nullptr : owner_.data()};
  const NeighborArrays neighbors{list->inum, list->ilist, list->numneigh, list->firstneigh,
                                 NEIGHMASK};
  graph_.build(atoms, neighbors, map_of_types_);
  atom_forces_.assign(force->newton_pair ? 0 : 3 * static_cast<std::size_t>(atoms.num_all), 0.0);
  timings_.graph += watch.lap();
  if (graph_.num_local_nodes == 0) return;    // an empty rank, or one with NULL types only

  const Evaluation evaluation = model_->evaluate(graph_, vflag_either != 0);
  const double model_time = watch.lap();
  (timings_.calls++ == 0 ? timings_.first_model : timings_.model) += model_time;
  tally(evaluation);
  timings_.scatter += watch.lap();
}

void PairMofmd::tally(const Evaluation &evaluation)
{
  check_finite(evaluation);
  for (std::int64_t k = 0; k < graph_.num_local_nodes; ++k) {
    const double energy = energy_unit_ * evaluation.node_energies[k];
    if (eflag_global) eng_vdwl += energy;
    if (eflag_atom) eatom[graph_.node_atom[k]] += energy;
  }
  add_forces(evaluation);
  if (!vflag_global || gives_edge_gradients()) return;
  // LAMMPS asks for the virial on the first step of a run even if no pressure is ever used, so a
  // model that gives none cannot be refused here.
  const double no_virial[9] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
  if (!evaluation.virial) warn_of_missing_virial();
  const double *const w = evaluation.virial ? evaluation.virial : no_virial;
  const double voigt[6] = {w[0], w[4], w[8], w[1], w[2], w[5]};
  for (int k = 0; k < 6; ++k) virial[k] += energy_unit_ * voigt[k];
}

void PairMofmd::warn_of_missing_virial()
{
  if (warned_of_missing_virial_) return;
  warned_of_missing_virial_ = true;
  if (comm->me == 0)
    error->warning(FLERR, style_ + ": the model '" + model_->info().path +
                              "' gives no virial: pressures are not a number, use no barostat");
}

void PairMofmd::add_forces(const Evaluation &evaluation)
{
  // With newton on LAMMPS itself sums the forces on ghosts back to their owners.
  double *const forces =
      ghosts_are_nodes() && !force->newton_pair ? atom_forces_.data() : atom->f[0];
  if (gives_edge_gradients()) {
    tally_edges(evaluation.edge_gradients, forces);
    return;
  }
  for (std::int64_t k = 0; k < graph_.num_nodes; ++k)
    for (int d = 0; d < 3; ++d)
      forces[3 * static_cast<std::size_t>(graph_.node_atom[k]) + d] +=
          energy_unit_ * evaluation.forces[3 * k + d];
}

// With g = dE/dr_ij and r_ij = r_j - r_i: F_i += g, F_j -= g, W -= r_ij (x) g. The whole of an
// edge's virial goes to its centre, so that for a strictly local model W_i = -dE_i/d(strain).
void PairMofmd::tally_edges(const double *edge_gradients, double *forces)
{
  const std::int64_t *const centres = graph_.centres();
  const std::int64_t *const neighbors = graph_.neighbors();
  for (std::int64_t e = 0; e < graph_.num_edges; ++e) {
    const std::size_t i = graph_.node_atom[centres[e]], j = graph_.node_atom[neighbors[e]];
    const double *const r = &graph_.edge_vectors[3 * e];
    const double g[3] = {energy_unit_ * edge_gradients[3 * e],
                         energy_unit_ * edge_gradients[3 * e + 1],
                         energy_unit_ * edge_gradients[3 * e + 2]};
    for (int d = 0; d < 3; ++d) {
      forces[3 * i + d] += g[d];
      forces[3 * j + d] -= g[d];
    }
    if (!vflag_either) continue;
    // The sum over edges is symmetric (energies do not change under rotation), an edge is not.
    const double w[6] = {-r[0] * g[0],
                         -r[1] * g[1],
                         -r[2] * g[2],
                         -0.5 * (r[0] * g[1] + r[1] * g[0]),
                         -0.5 * (r[0] * g[2] + r[2] * g[0]),
                         -0.5 * (r[1] * g[2] + r[2] * g[1])};
    for (int k = 0; k < 6; ++k) {
      if (vflag_global) virial[k] += w[k];
      if (vflag_atom) vatom[i][k] += w[k];
    }
  }
}

void PairMofmd::check_finite(const Evaluation &evaluation)
{
  // Sums are finite when all terms are; only then is the culprit looked for.
  double sum = 0.0;
  for (std::int64_t k = 0; k < graph_.num_local_nodes; ++k) sum += evaluation.node_energies[k];
  if (evaluation.forces)
    for (std::int64_t k = 0; k < 3 * graph_.num_nodes; ++k) sum += evaluation.forces[k];
  if (evaluation.edge_gradients)
    for (std::int64_t k = 0; k < 3 * graph_.num_edges; ++k) sum += evaluation.edge_gradients[k];
  if (std::isfinite(sum)) return;

  std::int64_t node = 0;
  const auto is_finite = [&](std::int64_t k) {
    if (k < graph_.num_local_nodes && !std::isfinite(evaluation.node_energies[k])) return false;
    for (int d = 0; evaluation.forces && d < 3; ++d)
      if (!std::isfinite(evaluation.forces[3 * k + d])) return false;
    return true;
  };
  while (node < graph_.num_nodes && is_finite(node)) ++node;
  for (std::int64_t e = 0; node == graph_.num_nodes && e < graph_.num_edges; ++e)
    for (int d = 0; d < 3; ++d)
      if (!std::isfinite(evaluation.edge_gradients[3 * e + d])) node = graph_.centres()[e];
  if (node == graph_.num_nodes) return;    // finite terms whose sum overflows
  const int i = graph_.node_atom[node];
  throw ModelError(fmt::format(
      "the model gives an energy or force that is not a number at atom {} (x y z = {:.4f} {:.4f} "
      "{:.4f}): the structure has left what the model was trained for, or atoms overlap",
      atom->tag[i], atom->x[i][0], atom->x[i][1], atom->x[i][2]));
}

// Called by LAMMPS at the end of a run: where the time of this style went.
void PairMofmd::finish()
{
  const double calls = static_cast<double>(std::max(1L, timings_.calls));
  const double later = static_cast<double>(std::max(1L, timings_.calls - 1));
  const double mine[6] = {1e3 * timings_.graph / calls,
                          1e3 * timings_.model / later,
                          1e3 * timings_.scatter / calls,
                          1e3 * timings_.first_model,
                          static_cast<double>(graph_.num_local_nodes),
                          static_cast<double>(graph_.num_edges)};
  double max[6], sum[6];
  MPI_Reduce(mine, max, 6, MPI_DOUBLE, MPI_MAX, 0, world);
  MPI_Reduce(mine, sum, 6, MPI_DOUBLE, MPI_SUM, 0, world);
  if (comm->me == 0 && timings_.calls > 0)
    utils::logmesg(lmp,
                   "\n{} time (ms per call, slowest rank): graph {:.3f}, model {:.3f}, scatter "
                   "{:.3f}; first model call {:.1f} ms; {:.0f} atoms, {:.0f} edges\n",
                   style_, max[0], max[1], max[2], max[3], sum[4], sum[5]);
  timings_ = Timings{};
}

double PairMofmd::memory_usage()
{
  return Pair::memory_usage() +
         static_cast<double>(graph_.edge_vectors.capacity() * sizeof(double) +
                             graph_.edge_index.capacity() * 2 * sizeof(std::int64_t) +
                             atom_forces_.capacity() * sizeof(double));
}

}    // namespace mofmd
