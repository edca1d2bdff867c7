// What a run tells of itself at its end: where the time of this style went, and its memory.

#include "lammps/pair_mofmd.h"

#include "gpu/placement.h"

#include "atom.h"
#include "comm.h"
#include "universe.h"
#include "utils.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <mpi.h>
#include <sys/resource.h>

using namespace LAMMPS_NS;

namespace mofmd {

namespace {

  constexpr double MiB = 1048576.0;

  double peak_memory_of_process()    // bytes
  {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return 1024.0 * static_cast<double>(usage.ru_maxrss);
  }

}    // namespace

void PairMofmd::Timings::add(const Timings &step)
{
  ++calls;
  graph += step.graph;
  transfer += step.transfer;
  model += step.model;
  exchange += step.exchange;
  scatter += step.scatter;
  exchanged.forward_calls += step.exchanged.forward_calls;
  exchanged.rows += step.exchanged.rows;
  exchanged.bytes += step.exchanged.bytes;
}

// Before the first evaluation: what it will take, from the bytes per edge that were measured when
// the file was made. Linux ends a process that runs out of memory without a word: refuse before.
// On a GPU, where another kernel may need another amount, torch says itself when memory is out.
// Collective; returns the same text on all ranks, empty when the evaluation fits.
std::string PairMofmd::estimate_memory()
{
  const ModelInfo &info = model_->info();
  const double free = free_memory(info.device);
  double edges = static_cast<double>(nodes().num_edges), most_edges = 0.0;
  MPI_Allreduce(&edges, &most_edges, 1, MPI_DOUBLE, MPI_MAX, world);
  if (info.bytes_per_edge <= 0.0 || free <= 0.0) {
    if (chunking_ != Chunk::automatic) return "";
    return "chunk auto needs a file that knows its memory per edge (written by `mofmd deploy`) and "
           "a device that tells how much is free: give a number of atoms instead";
  }
  // Ranks on one device share its memory; a fifth is left to everything else.
  double share = 0.8 * free / ranks_on_device() - bytes_beside_chunks(), least_share = 0.0;
  MPI_Allreduce(&share, &least_share, 1, MPI_DOUBLE, MPI_MIN, world);
  const double edges_that_fit = std::max(0.0, least_share) / info.bytes_per_edge;
  const double edges_per_atom = edges / std::max<std::int64_t>(1, nodes().num_local_nodes);
  if (chunking_ == Chunk::automatic) chunk_ = 0;    // what an earlier run chose is no limit
  if (chunking_ == Chunk::automatic && edges > edges_that_fit)
    chunk_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(edges_that_fit / edges_per_atom));
  if (chunk_ > 0) edges = std::min(edges, static_cast<double>(chunk_) * edges_per_atom);
  MPI_Allreduce(&edges, &most_edges, 1, MPI_DOUBLE, MPI_MAX, world);
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "{}: an evaluation takes about {:.0f} MiB on the fullest rank ({:.0f} bytes per "
                   "edge), {:.0f} MiB are free for it\n",
                   style_, most_edges * info.bytes_per_edge / 1048576.0, info.bytes_per_edge,
                   least_share / 1048576.0);
  if (most_edges <= edges_that_fit || info.device != "cpu") return "";
  const double fitting_atoms =
      static_cast<double>(atom->natoms) * edges_that_fit / std::max(1.0, most_edges);
  return fmt::format("out of memory: an evaluation would take about {:.1f} GiB on the fullest of "
                     "{} rank(s), {:.1f} GiB are free for it; about {:.0f} atoms of this kind fit: "
                     "use more nodes{}",
                     most_edges * info.bytes_per_edge / 1073741824.0, comm->nprocs,
                     least_share / 1073741824.0, fitting_atoms,
                     evaluates_in_chunks() ? ", or 'pair_style ... chunk auto'" : "");
}

// What a model with layers keeps of all nodes and edges while it is evaluated in chunks: features
// before each layer and their gradient, edge vectors, indices and gradients.
double PairMofmd::bytes_beside_chunks() const
{
  const ModelInfo &info = model_->info();
  if (chunk_ == 0 && chunking_ != Chunk::automatic) return 0.0;
  if (!info.cuts_layers) return 0.0;
  const double feature_bytes = info.dtype == "float64" ? 8.0 : 4.0;
  return feature_bytes * (info.layers + 2) * info.exchange_width *
             static_cast<double>(nodes().num_nodes) +
         160.0 * static_cast<double>(nodes().num_edges);
}

// Ranks of this node whose models run on the same device as this one's. Other partitions cannot be
// asked, they may be elsewhere in their scripts: they are taken to do as this one does.
int PairMofmd::ranks_on_device() const
{
  MPI_Comm node, device;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, comm->me, MPI_INFO_NULL, &node);
  const ModelInfo &info = model_->info();
  const std::size_t key = std::hash<std::string>{}(visible_device(info.device));
  MPI_Comm_split(node, static_cast<int>(key % std::numeric_limits<int>::max()), comm->me, &device);
  int sharing = 1;
  MPI_Comm_size(device, &sharing);
  MPI_Comm_free(&device);
  MPI_Comm_free(&node);
  if (universe->nworlds == 1 || info.device == "cpu") return sharing;
  return std::max(sharing, ranks_per_gpu(ranks_of_node(universe->nprocs), info.num_gpus));
}

// Called by LAMMPS at the end of a run. Collective.
void PairMofmd::finish()
{
  enum {
    GRAPH,
    TRANSFER,
    MODEL,
    EXCHANGE,
    SCATTER,
    TOTAL,
    FIRST,
    CALLS,
    HOST,
    USED,
    HELD,
    NUM_MAX
  };
  const DeviceMemory on_device = peak_device_memory(model_ ? model_->info().device : "cpu");
  double mine[NUM_MAX] = {timings_.graph,
                          timings_.transfer,
                          timings_.model,
                          timings_.exchange,
                          timings_.scatter,
                          0.0,
                          timings_.first_call,
                          static_cast<double>(timings_.calls),
                          peak_memory_of_process(),
                          on_device.used,
                          on_device.held};
  for (int part = GRAPH; part <= SCATTER; ++part) mine[TOTAL] += mine[part];
  enum { NODES, EDGES, GHOSTS, ROWS, BYTES, NUM_SUM };
  const auto count = [](auto number) { return static_cast<double>(number); };
  const double counts[NUM_SUM] = {count(nodes().is_padding() ? 0 : nodes().num_local_nodes),
                                  count(nodes().num_edges),
                                  count(nodes().num_nodes - nodes().num_local_nodes),
                                  count(timings_.exchanged.rows), count(timings_.exchanged.bytes)};
  double max[NUM_MAX], mean[NUM_MAX], sum[NUM_SUM];
  MPI_Reduce(mine, max, NUM_MAX, MPI_DOUBLE, MPI_MAX, 0, world);
  MPI_Reduce(mine, mean, NUM_MAX, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(counts, sum, NUM_SUM, MPI_DOUBLE, MPI_SUM, 0, world);
  const double layers = count(timings_.exchanged.forward_calls);
  timings_ = Timings{};
  if (comm->me != 0 || (max[CALLS] == 0 && max[FIRST] == 0.0)) return;

  std::string text = "\n" + style_ + ": where the time went\n";
  if (max[FIRST] > 0.0)
    text += fmt::format("  first call (warm-up, not counted below)  {:.1f} ms\n", 1e3 * max[FIRST]);
  if (max[CALLS] > 0) {
    text += "  part      |  mean ms/step |   max ms/step | share\n";
    const char *const names[] = {"graph", "transfer", "model", "exchange", "scatter", "total"};
    for (int part = GRAPH; part <= TOTAL; ++part)
      text +=
          fmt::format("  {:<9} | {:>13.3f} | {:>13.3f} | {:>4.1f} %\n", names[part],
                      1e3 * mean[part] / (comm->nprocs * max[CALLS]), 1e3 * max[part] / max[CALLS],
                      100.0 * mean[part] / std::max(mean[TOTAL], 1e-30));
    text += fmt::format("  {:.3f} us/atom/step (slowest rank's time over all atoms)\n",
                        1e6 * max[TOTAL] / max[CALLS] / std::max(1.0, sum[NODES]));
  }
  text += fmt::format("  {:.0f} atoms, {:.0f} edges, {:.0f} ghost nodes on {} rank(s)\n",
                      sum[NODES], sum[EDGES], sum[GHOSTS], comm->nprocs);
  if (layers > 0)
    text += fmt::format("  node evaluations per layer, all ranks: {:.0f}; {:.1f} kB of features "
                        "and gradients exchanged per step\n",
                        sum[ROWS] / layers, 1e-3 * sum[BYTES] / max[CALLS]);
  if (max[USED] > 0.0)
    text +=
        fmt::format("  peak memory of a rank: {:.0f} MiB on its GPU ({:.0f} MiB held by torch); "
                    "{:.0f} MiB of the host\n",
                    max[USED] / MiB, max[HELD] / MiB, max[HOST] / MiB);
  else
    text += fmt::format("  peak memory of a rank: {:.0f} MiB\n", max[HOST] / MiB);
  utils::logmesg(lmp, text);
}

double PairMofmd::memory_usage()
{
  return Pair::memory_usage() +
         static_cast<double>(graph_.edge_vectors.capacity() * sizeof(double) +
                             graph_.edge_index.capacity() * 2 * sizeof(std::int64_t) +
                             atom_forces_.capacity() * sizeof(double));
}

}    // namespace mofmd
