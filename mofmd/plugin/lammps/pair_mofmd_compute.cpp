// The work of a step: graph, model, and what the model says handed to LAMMPS.

#include "lammps/pair_mofmd.h"

#include "base/reason.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <chrono>
#include <cmath>
#include <mpi.h>
#include <thread>

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

}    // namespace

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

bool PairMofmd::evaluates_in_chunks() const
{
  return model_->info().strictly_local || model_->info().cuts_layers;
}

void PairMofmd::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  check_request();
  std::string failure;
  try {
    try {
      evaluate();
    } catch (const RecordingError &error) {
      if (pairs_ != PairsFrom::automatic) throw;
      evaluate_without_recording(error.what());
    }
  } catch (const std::exception &error) {
    failure = explain(error.what());
  }
  if (!memory_failure_.empty()) error->all(FLERR, style_ + ": " + memory_failure_);
  if (!failure.empty())
    fail_alone(
        fmt::format("{}: step {}, rank {}: {}", style_, update->ntimestep, comm->me, failure));
  if (ghosts_are_nodes() && !force->newton_pair) return_ghost_forces();
}

// What was chosen for speed does not work with this model; there is one rank.
void PairMofmd::evaluate_without_recording(const std::string &why)
{
  error->warning(FLERR,
                 fmt::format("{}: steps are not recorded, which is slower for small systems: "
                             "{}",
                             style_, reason_of(why)));
  records_ = false;
  evaluate();
}

// Not collective: the other ranks may be past this step. LAMMPS prints the message, throws, and
// whoever catches that aborts all ranks.
void PairMofmd::fail_alone(const std::string &message)
{
  try {
    error->one(FLERR, message);
  } catch (...) {
    // An abort makes the launcher throw away what it has not passed on yet: the message, at times.
    if (comm->nprocs > 1) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    throw;
  }
}

// Torch says at length what happened, and not what to do about memory.
std::string PairMofmd::explain(const std::string &what) const
{
  std::string reason = reason_of(what);
  if (!is_out_of_memory(reason)) return reason;
  const ModelInfo &info = model_->info();
  const double atoms = static_cast<double>(nodes().num_local_nodes);
  return fmt::format(
      "out of memory on {} with {:.0f} atoms ({} edges) on this rank: use more ranks "
      "or nodes{} ({})",
      info.device, atoms, nodes().num_edges,
      evaluates_in_chunks() ? ", or smaller chunks ('pair_style ... chunk N')" : "", reason);
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
  if (pairs_ == PairsFrom::automatic && resident_ && resident_->has_fixed_shapes() && !records_) {
    choose_pairs();
    lists_built_ = -1;    // the new graph has seen no atoms yet
  }
  const bool is_new = atoms_have_changed();
  if (is_new && !ghosts_are_nodes()) find_owners();
  const AtomArrays atoms{atom->nlocal, atom->nlocal + atom->nghost, atom->x, atom->type,
                         ghosts_are_nodes() ? nullptr : owner_.data()};
  NeighborArrays neighbors{};
  if (takes_list_)
    neighbors = {list->inum, list->ilist, list->numneigh, list->firstneigh, NEIGHMASK};
  if (resident_) {
    if (is_new)
      resident_->rebuild(atoms, takes_list_ ? &neighbors : nullptr, map_of_types_, neighbor->skin);
    resident_->move(atoms);
  } else
    graph_.build(atoms, neighbors, map_of_types_);
  if (is_new && takes_part_in_exchange()) find_routes();
  clear_novelty();
  atom_forces_.assign(force->newton_pair ? 0 : 3 * static_cast<std::size_t>(atoms.num_all), 0.0);

  if (!estimated_memory_) {
    memory_failure_ = estimate_memory();
    estimated_memory_ = true;
  }
  if (!memory_failure_.empty()) return;
  const bool is_empty = nodes().num_local_nodes == 0;    // no atoms here, or NULL types only
  if (is_empty && !takes_part_in_exchange()) return;
  if (is_empty) resident_ ? resident_->add_padding() : graph_.add_padding();

  Timings step;
  step.graph = watch.lap();
  resident_ ? evaluate_resident(step, atoms.num_all) : evaluate_graph(step, atoms.num_all);
  if (called_before_)
    timings_.add(step);
  else    // the first call warms up: memory, kernels, libraries
    timings_.first_call = step.graph + step.transfer + step.model + step.exchange + step.scatter;
  called_before_ = true;
}

// Evaluates the graph, whole or chunk by chunk, and hands the results to LAMMPS. A strictly local
// model takes a chunk as a graph of its own; one with layers cuts each of its layers.
void PairMofmd::evaluate_graph(Timings &step, int num_atoms)
{
  const bool cuts_layers = model_->info().cuts_layers;
  const std::int64_t size = chunk_ > 0 && !cuts_layers ? chunk_ : graph_.num_local_nodes;
  for (std::int64_t first = 0; first < graph_.num_local_nodes; first += size) {
    Stopwatch watch;
    const bool is_whole = size >= graph_.num_local_nodes;
    if (!is_whole) part_.take_part(graph_, first, std::min(first + size, graph_.num_local_nodes));
    const Graph &graph = is_whole ? graph_ : part_;
    step.graph += watch.lap();
    const ExchangeScope exchange(graph, num_atoms, sent_nodes_,
                                 takes_part_in_exchange() ? this : nullptr);
    const Evaluation evaluation = model_->evaluate(graph, wanted(), chunk_);
    account(step, evaluation, exchange.counters(), watch.lap());
    if (!graph.is_padding()) tally(graph, evaluation);
    step.scatter += watch.lap();
  }
}

// The same where the graph lives on the device, which makes forces of gradients and cuts chunks.
void PairMofmd::evaluate_resident(Timings &step, int num_atoms)
{
  Stopwatch watch;
  const ExchangeScope exchange(*resident_, num_atoms, sent_nodes_,
                               takes_part_in_exchange() ? this : nullptr);
  const Evaluation evaluation = model_->evaluate(*resident_, wanted(), chunk_);
  account(step, evaluation, exchange.counters(), watch.lap());
  if (!resident_->is_padding()) tally(*resident_, evaluation);
  step.scatter += watch.lap();
  if (resident_->has_fixed_shapes()) judge_recording(step.model);
}

// Recording hides the time that launching takes. Where the device works longer than that, fixed
// shapes only cost: the unused edges. A call that warms up, after the first two, tells.
void PairMofmd::judge_recording(double model_seconds)
{
  constexpr int CALL_THAT_TELLS = 3;
  constexpr double LAUNCHES_ARE_HIDDEN = 0.06;    // s; a thousand operators take a third of it
  if (pairs_ != PairsFrom::automatic || ++fixed_calls_ != CALL_THAT_TELLS) return;
  if (model_seconds > LAUNCHES_ARE_HIDDEN) records_ = false;    // from the next step on
}

// Where the time of an evaluation went, and what it sent to other ranks.
void PairMofmd::account(Timings &step, const Evaluation &evaluation,
                        const ExchangeCounters &exchanged, double seconds)
{
  step.transfer += evaluation.transfer_seconds;
  step.exchange += exchanged.seconds;
  step.model += seconds - evaluation.transfer_seconds - exchanged.seconds;
  step.exchanged.forward_calls += exchanged.forward_calls;
  step.exchanged.rows += nodes().is_padding() ? 0 : exchanged.rows;
  step.exchanged.bytes += exchanged.bytes;
}

void PairMofmd::tally(const Nodes &nodes, const Evaluation &evaluation)
{
  check_finite(nodes, evaluation);
  for (std::int64_t k = 0; k < nodes.num_local_nodes; ++k) {
    const double energy = energy_unit_ * evaluation.node_energies[k];
    if (eflag_global) eng_vdwl += energy;
    if (eflag_atom) eatom[nodes.node_atom[k]] += energy;
  }
  add_forces(nodes, evaluation);
  if (evaluation.features) score(nodes, evaluation);
  if (vflag_atom && evaluation.node_virials)
    for (std::int64_t k = 0; k < nodes.num_local_nodes; ++k)
      for (int d = 0; d < 6; ++d)
        vatom[nodes.node_atom[k]][d] += energy_unit_ * evaluation.node_virials[6 * k + d];
  if (!vflag_global || evaluation.edge_gradients) return;
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

void PairMofmd::add_forces(const Nodes &nodes, const Evaluation &evaluation)
{
  // With newton on LAMMPS itself sums the forces on ghosts back to their owners.
  double *const forces =
      ghosts_are_nodes() && !force->newton_pair ? atom_forces_.data() : atom->f[0];
  if (evaluation.edge_gradients) {
    tally_edges(*evaluation.graph, evaluation.edge_gradients, forces);
    return;
  }
  for (std::int64_t k = 0; k < nodes.num_nodes; ++k)
    for (int d = 0; d < 3; ++d)
      forces[3 * static_cast<std::size_t>(nodes.node_atom[k]) + d] +=
          energy_unit_ * evaluation.forces[3 * k + d];
}

// With g = dE/dr_ij and r_ij = r_j - r_i: F_i += g, F_j -= g, W -= r_ij (x) g. The whole of an
// edge's virial goes to its centre, so that for a strictly local model W_i = -dE_i/d(strain).
void PairMofmd::tally_edges(const Graph &graph, const double *edge_gradients, double *forces)
{
  const std::int64_t *const centres = graph.centres();
  const std::int64_t *const neighbors = graph.neighbors();
  for (std::int64_t e = 0; e < graph.num_edges; ++e) {
    const std::size_t i = graph.node_atom[centres[e]], j = graph.node_atom[neighbors[e]];
    const double *const r = &graph.edge_vectors[3 * e];
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

void PairMofmd::check_finite(const Nodes &nodes, const Evaluation &evaluation)
{
  // Sums are finite when all terms are; only then is the culprit looked for.
  const double *const gradients = evaluation.edge_gradients;
  const std::int64_t num_edges = gradients ? evaluation.graph->num_edges : 0;
  double sum = 0.0;
  for (std::int64_t k = 0; k < nodes.num_local_nodes; ++k) sum += evaluation.node_energies[k];
  if (evaluation.forces)
    for (std::int64_t k = 0; k < 3 * nodes.num_nodes; ++k) sum += evaluation.forces[k];
  for (std::int64_t k = 0; k < 3 * num_edges; ++k) sum += gradients[k];
  if (std::isfinite(sum)) return;

  std::int64_t node = 0;
  const auto is_finite = [&](std::int64_t k) {
    if (k < nodes.num_local_nodes && !std::isfinite(evaluation.node_energies[k])) return false;
    for (int d = 0; evaluation.forces && d < 3; ++d)
      if (!std::isfinite(evaluation.forces[3 * k + d])) return false;
    return true;
  };
  while (node < nodes.num_nodes && is_finite(node)) ++node;
  for (std::int64_t e = 0; node == nodes.num_nodes && e < num_edges; ++e)
    for (int d = 0; d < 3; ++d)
      if (!std::isfinite(gradients[3 * e + d])) node = evaluation.graph->centres()[e];
  if (node == nodes.num_nodes) return;    // finite terms whose sum overflows
  const int i = nodes.node_atom[node];
  throw ModelError(fmt::format(
      "the model gives an energy or force that is not a number at atom {} (x y z = {:.4f} {:.4f} "
      "{:.4f}): the structure has left what the model was trained for, or atoms overlap",
      atom->tag[i], atom->x[i][0], atom->x[i][1], atom->x[i][2]));
}

}    // namespace mofmd
