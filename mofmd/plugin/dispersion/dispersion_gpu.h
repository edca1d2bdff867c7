// The D3 sums on a GPU, in place of the kernels for processors: lists are taken over when they are
// made, positions and what atoms know of their neighbours at each step. Free of torch's headers.

#ifndef MOFMD_DISPERSION_GPU_H
#define MOFMD_DISPERSION_GPU_H

#include "dispersion/dispersion_terms.h"

#include <memory>
#include <string>

namespace mofmd {

class DispersionGpu {
public:
  // Throws std::runtime_error where the kernels cannot be compiled for the device.
  explicit DispersionGpu(const std::string &device);
  ~DispersionGpu();

  // A job's pointers are to the host's memory, here as below; results are written there.
  void take_lists(const DispersionJob &job);
  void count_neighbours(const DispersionJob &job);
  void sum_pairs(const DispersionJob &job);
  void add_chain_forces(const DispersionJob &job);

private:
  class Memory;
  std::unique_ptr<Memory> memory_;
};

// The text of the kernels, without `device_functions` (gpu_program.h).
std::string dispersion_source();

}    // namespace mofmd

#endif
