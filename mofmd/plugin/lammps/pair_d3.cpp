#include "lammps/pair_d3.h"

#include "base/citations.h"
#include "base/elements.h"
#include "gpu/placement.h"
#include "lammps/together.h"
#include "model/model.h"

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

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mpi.h>

using namespace LAMMPS_NS;

namespace mofmd {

namespace {

  const std::string STYLE = "pair_style d3";
  constexpr double CUTOFF = 15.0, COORDINATION_CUTOFF = 10.0, WIDTH = 2.0;    // Å

  SumRange make_range(double cutoff, double width)
  {
    return {cutoff, cutoff - width, width > 0.0 ? 1.0 / width : 0.0};
  }

  // Adds the time of its life to a sum.
  class Timer {
  public:
    explicit Timer(double &seconds) : seconds_(seconds) {}
    ~Timer()
    {
      seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    double &seconds_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  };

}    // namespace

PairD3::PairD3(LAMMPS *lmp) :
    Pair(lmp),
    energy_range_(make_range(CUTOFF, WIDTH)),
    coordination_range_(make_range(COORDINATION_CUTOFF, WIDTH))
{
  manybody_flag = 1;
  one_coeff = 1;
  single_enable = 0;
  restartinfo = 0;
  no_virial_fdotr_compute = 1;    // forces on ghosts are never made
  centroidstressflag = CENTROID_NOTAVAIL;
  comm_forward = 1;
}

PairD3::~PairD3()
{
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

// ---- commands of an input file ----------------------------------------------------------------

// A keyword's cutoff and, if a second number follows, the width of its smooth end.
SumRange PairD3::read_range(int narg, char **arg, int &k)
{
  const std::string word = arg[k];
  if (k + 1 >= narg) error->all(FLERR, STYLE + ": " + word + " needs a distance");
  const double cutoff = utils::numeric(FLERR, arg[++k], false, lmp);
  double width = std::min(WIDTH, 0.5 * cutoff);
  if (k + 1 < narg && utils::is_double(arg[k + 1]))
    width = utils::numeric(FLERR, arg[++k], false, lmp);
  if (!(cutoff > 0.0) || !(width >= 0.0) || width > cutoff)
    error->all(FLERR, fmt::format("{}: {} needs a distance above 0 and a width of its smooth end "
                                  "from 0 to that distance, not {} {}",
                                  STYLE, word, cutoff, width));
  return make_range(cutoff, width);
}

void PairD3::settings(int narg, char **arg)
{
  energy_range_ = make_range(CUTOFF, WIDTH);
  coordination_range_ = make_range(COORDINATION_CUTOFF, WIDTH);
  device_ = "cpu";
  for (int k = 0; k < narg; ++k) {
    const std::string word = arg[k];
    if (word == "cutoff")
      energy_range_ = read_range(narg, arg, k);
    else if (word == "coordination")
      coordination_range_ = read_range(narg, arg, k);
    else if (word == "device" && k + 1 < narg) {
      device_ = arg[++k];
      if (!is_device_name(device_))
        error->all(FLERR,
                   STYLE + ": device must be auto, cpu, cuda or cuda:N, not '" + device_ + "'");
    } else
      error->all(FLERR, STYLE + ": unknown option '" + word +
                            "' (known: cutoff DISTANCE [WIDTH], coordination DISTANCE [WIDTH], "
                            "device auto|cpu|cuda[:N])");
  }
}

// What may fail on some ranks and not on others: all of them stop together. Collective.
template <typename Act> void PairD3::together(Act act)
{
  std::string failure;
  try {
    act();
  } catch (const std::exception &exception) {
    failure = exception.what();
  }
  failure = first_message(world, failure);
  if (!failure.empty()) error->all(FLERR, STYLE + ": " + failure);
}

void PairD3::coeff(int narg, char **arg)
{
  const std::string units = update->unit_style;
  if (units != "metal" && units != "real")
    error->all(FLERR, STYLE +
                          " needs units metal or real (energies and lengths of D3 are turned "
                          "into eV or kcal/mol, and Angstrom), not units " +
                          units);
  energy_unit_ =
      units == "metal" ? 1.0 : utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  if (narg < 3)
    error->all(FLERR, STYLE + ": pair_coeff * * needs the file of coefficients and a name for each "
                              "atom type");
  const std::string found = utils::get_potential_file_path(arg[2]);
  together([&] { parameters_ = read_dispersion_parameters(found.empty() ? arg[2] : found); });
  read_elements(narg, arg);
  num_threads_ = set_threads_per_rank();
  together([&] {
    const std::string device = find_device({device_, rank_on_node(universe->me)});
    dispersion_ = std::make_unique<Dispersion>(parameters_, element_of_type_, energy_range_,
                                               coordination_range_, device);
  });
  report_method();
  if (lmp->citeme) lmp->citeme->add(D3_CITATION);
}

// Fills the elements of types and setflag from the names behind the file on pair_coeff.
void PairD3::read_elements(int narg, char **arg)
{
  const int num_types = atom->ntypes;
  const std::vector<DispersionElement> &elements = parameters_.elements;
  std::string known;
  for (const DispersionElement &element : elements) known += " " + element.name;
  if (narg != 3 + num_types)
    error->all(FLERR, fmt::format("{}: pair_coeff names {} atom types, the system has {} (one name "
                                  "for each type; the file knows:{})",
                                  STYLE, narg - 3, num_types, known));
  element_of_type_.assign(num_types + 1, -1);
  for (int type = 1; type <= num_types; ++type) {
    const std::string name = arg[2 + type];
    if (name == "NULL") continue;
    const auto is_it = [&name](const DispersionElement &element) { return element.name == name; };
    const auto element = std::find_if(elements.begin(), elements.end(), is_it);
    if (element == elements.end())
      error->all(FLERR, fmt::format("{}: the file '{}' has no coefficients of '{}', given for atom "
                                    "type {} (it knows:{}; NULL leaves a type out)",
                                    STYLE, arg[2], name, type, known));
    element_of_type_[type] = static_cast<int>(element - elements.begin());
  }
  if (!allocated) {
    memory->create(setflag, num_types + 1, num_types + 1, "pair:setflag");
    memory->create(cutsq, num_types + 1, num_types + 1, "pair:cutsq");
    allocated = 1;
  }
  for (int i = 1; i <= num_types; ++i)
    for (int j = 1; j <= num_types; ++j) {
      cutsq[i][j] = 0.0;
      setflag[i][j] = !is_in_hybrid() || (element_of_type_[i] >= 0 && element_of_type_[j] >= 0);
    }
}

void PairD3::report_method()
{
  if (comm->me != 0) return;
  const auto end = [](const SumRange &range) {
    return fmt::format("{:g} A (smooth from {:g} A on)", range.cutoff, range.start);
  };
  utils::logmesg(lmp,
                 "{}: {}, pairs to {}, coordination numbers to {}, on {}, {} thread(s) per "
                 "rank\n",
                 STYLE, parameters_.method, end(energy_range_), end(coordination_range_),
                 dispersion_->place(), num_threads_);
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int k = element_of_type_[type];
    utils::logmesg(lmp, "  atom type {} is {}\n", type,
                   k < 0 ? "NULL" : parameters_.elements[k].name);
  }
}

void PairD3::warn_of_masses()
{
  if (!atom->mass || comm->me != 0) return;
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int k = element_of_type_[type];
    if (k < 0 || !atom->mass_setflag[type]) continue;
    const std::string &name = parameters_.elements[k].name;
    const Element *const element = find_element(name);
    const double mass = atom->mass[type];
    if (element && std::abs(mass - element->mass) > 0.02 + 0.01 * element->mass)
      error->warning(FLERR,
                     fmt::format("{}: atom type {} has mass {} g/mol but pair_coeff calls it {}, "
                                 "which has {} g/mol: check the order of the names",
                                 STYLE, type, mass, name, element->mass));
  }
}

bool PairD3::is_in_hybrid() const
{
  return force->pair_match("^hybrid", 0) != nullptr;
}

double PairD3::reach() const
{
  return std::max(energy_range_.cutoff, coordination_range_.cutoff);
}

void PairD3::init_style()
{
  if (!dispersion_) error->all(FLERR, STYLE + ": pair_coeff is missing");
  if (neighbor->nex_type > 0 || neighbor->nex_group > 0 || neighbor->nex_mol > 0 ||
      neighbor->includegroup > 0)
    error->all(FLERR, STYLE + " sums over all pairs of atoms, but neigh_modify excludes some: "
                              "remove 'neigh_modify exclude' and 'include', or name the types that "
                              "take no part NULL");
  warn_of_masses();
  if (is_in_hybrid()) widen_ghost_shell();
}

// Beside other styles the long cutoff is kept out of LAMMPS's neighbour lists, which hybrid makes
// for the longest of all cutoffs: only ghosts are needed that far.
void PairD3::widen_ghost_shell()
{
  if (comm->mode != Comm::SINGLE)
    error->all(FLERR, STYLE + " within pair_style hybrid needs ghost atoms of all types alike: "
                              "remove 'comm_modify mode multi'");
  comm->cutghostuser = std::max(comm->cutghostuser, reach() + neighbor->skin);
}

double PairD3::init_one(int i, int j)
{
  if (is_in_hybrid() || element_of_type_[i] < 0 || element_of_type_[j] < 0) return 0.0;
  return reach();
}

// ---- the work of a step -----------------------------------------------------------------------

void PairD3::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  {
    const Timer timer(seconds_[LISTS]);
    of_atom_.resize(atom->nlocal + atom->nghost);
    const bool is_new = neighbor->ago == 0 || lists_built_ != neighbor->ncalls;
    lists_built_ = neighbor->ncalls;
    if (is_new)
      dispersion_->rebuild(
          {atom->nlocal, atom->nlocal + atom->nghost, atom->x, atom->type, nullptr},
          neighbor->skin);
    else
      dispersion_->move(atom->x);
  }
  {
    const Timer timer(seconds_[COUNTING]);
    dispersion_->count_neighbours(of_atom_.data());
  }
  exchange();
  {
    const Timer timer(seconds_[PAIRS]);
    dispersion_->sum_pairs(of_atom_.data(), vflag_either != 0);
  }
  exchange();
  {
    const Timer timer(seconds_[CHAIN]);
    dispersion_->add_chain_forces(of_atom_.data());
    tally();
  }
  ++calls_;
}

// What owned atoms have, to their ghosts. A rank without atoms takes part as well.
void PairD3::exchange()
{
  const Timer timer(seconds_[EXCHANGE]);
  comm->forward_comm(this, /*size=*/1);
}

int PairD3::pack_forward_comm(int n, int *list, double *buf, int /*pbc_flag*/, int * /*pbc*/)
{
  for (int k = 0; k < n; ++k) buf[k] = of_atom_[list[k]];
  return n;
}

void PairD3::unpack_forward_comm(int n, int first, double *buf)
{
  std::copy(buf, buf + n, of_atom_.data() + first);
}

void PairD3::tally()
{
  check_finite();
  const std::vector<int> &atoms = dispersion_->centre_atom();
  for (std::size_t c = 0; c < atoms.size(); ++c) {
    const int i = atoms[c];
    const double energy = energy_unit_ * dispersion_->energy()[c];
    if (eflag_global) eng_vdwl += energy;
    if (eflag_atom) eatom[i] += energy;
    for (int d = 0; d < 3; ++d) atom->f[i][d] += energy_unit_ * dispersion_->force()[3 * c + d];
    if (!vflag_either) continue;
    for (int d = 0; d < 6; ++d) {
      const double w = energy_unit_ * dispersion_->virial()[6 * c + d];
      if (vflag_global) virial[d] += w;
      if (vflag_atom) vatom[i][d] += w;
    }
  }
}

void PairD3::check_finite()
{
  const std::vector<int> &atoms = dispersion_->centre_atom();
  for (std::size_t c = 0; c < atoms.size(); ++c) {
    double sum = dispersion_->energy()[c];
    for (int d = 0; d < 3; ++d) sum += dispersion_->force()[3 * c + d];
    if (std::isfinite(sum)) continue;
    const int i = atoms[c];
    error->one(FLERR, fmt::format("{}: step {}, rank {}: the energy or force of atom {} (x y z = "
                                  "{:.4f} {:.4f} {:.4f}) is not a number: atoms have flown apart",
                                  STYLE, update->ntimestep, comm->me,
                                  atom->tag_enable ? atom->tag[i] : i + 1, atom->x[i][0],
                                  atom->x[i][1], atom->x[i][2]));
  }
}

// Called by LAMMPS at the end of a run. Collective.
void PairD3::finish()
{
  double mean[NUM_PARTS], max[NUM_PARTS];
  MPI_Reduce(seconds_, mean, NUM_PARTS, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(seconds_, max, NUM_PARTS, MPI_DOUBLE, MPI_MAX, 0, world);
  const long calls = calls_;
  std::fill(seconds_, seconds_ + NUM_PARTS, 0.0);
  calls_ = 0;
  if (comm->me != 0 || calls == 0) return;
  std::string text =
      "\n" + STYLE + ": where the time went\n" + "  part         |  mean ms/step |   max ms/step\n";
  const char *const names[] = {"lists", "coordination", "pairs", "chain", "exchange"};
  double total = 0.0;
  for (int part = 0; part < NUM_PARTS; ++part) {
    const double ms = 1e3 * mean[part] / (comm->nprocs * static_cast<double>(calls));
    total += ms;
    text += fmt::format("  {:<12} | {:>13.3f} | {:>13.3f}\n", names[part], ms,
                        1e3 * max[part] / static_cast<double>(calls));
  }
  utils::logmesg(lmp, "{}  {:<12} | {:>13.3f} |\n", text, "total", total);
}

double PairD3::memory_usage()
{
  return Pair::memory_usage() + static_cast<double>(of_atom_.capacity() * sizeof(double)) +
         (dispersion_ ? dispersion_->memory() : 0.0);
}

}    // namespace mofmd
