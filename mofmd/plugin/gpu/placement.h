// Which process of a node this is, and which of its GPUs is its own. Free of torch, LAMMPS and MPI.

#ifndef MOFMD_PLACEMENT_H
#define MOFMD_PLACEMENT_H

#include "base/numbers.h"

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

namespace mofmd {

// Counted over all partitions: launchers say so in the environment. Without a launcher, or one
// that does not, `rank` itself (of the whole launch), which is right on one node. Throws
// std::invalid_argument when the environment says no number.
inline int rank_on_node(int rank)
{
  for (const char *name : {"MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID",
                           "MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "FLUX_TASK_LOCAL_ID"})
    if (const std::optional<int> found = count_in_environment(name, 0)) return *found;
  return rank;
}

// Ranks of this node, counted likewise.
inline int ranks_of_node(int ranks)
{
  for (const char *name : {"MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "PALS_LOCAL_SIZE",
                           "MV2_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"})
    if (const std::optional<int> found = count_in_environment(name, 1)) return *found;
  return ranks;
}

// How many of them share a GPU, where all see the same ones; SLURM may give each one its own.
inline int ranks_per_gpu(int ranks_of_node, int num_gpus)
{
  if (std::getenv("SLURM_GPUS_PER_TASK") || num_gpus < 1) return 1;
  return (ranks_of_node + num_gpus - 1) / num_gpus;
}

// What tells a device of this node from others: "cuda:0" is another one for each rank where they
// see different GPUs.
inline std::string visible_device(const std::string &device)
{
  const char *const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return device == "cpu" || !visible ? device : device + " of " + visible;
}

// "auto", "cpu", "cuda" or "cuda:" and a number.
inline bool is_device_name(const std::string &name)
{
  if (name == "auto" || name == "cpu" || name == "cuda") return true;
  const std::string index = name.compare(0, 5, "cuda:") == 0 ? name.substr(5) : "";
  return !index.empty() && index.size() <= 3 &&
         index.find_first_not_of("0123456789") == std::string::npos;
}

// "cuda:1" as asked for, or for "cuda" the ranks of a node in turn over the GPUs that they see.
// Throws std::invalid_argument when there is no such GPU.
inline std::string gpu_of_rank(const std::string &wanted, int rank_on_node, int num_gpus)
{
  if (wanted.find(':') == std::string::npos)
    return "cuda:" + std::to_string(rank_on_node % num_gpus);
  const std::string number = wanted.substr(wanted.find(':') + 1);
  const int index = read_number<int>(number).value_or(num_gpus);
  if (index >= num_gpus)
    throw std::invalid_argument("device " + wanted + " is asked for, but torch sees " +
                                std::to_string(num_gpus) + " GPU(s), counted from cuda:0");
  return "cuda:" + std::to_string(index);
}

}    // namespace mofmd

#endif
