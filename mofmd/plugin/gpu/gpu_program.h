// Programs for NVIDIA's GPUs that are compiled where they run, by the compiler library that torch
// brings along: neither a CUDA toolkit nor its headers are needed to build the plugin.

#ifndef MOFMD_GPU_PROGRAM_H
#define MOFMD_GPU_PROGRAM_H

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace mofmd {

struct GpuGrid {
  unsigned int blocks_x, blocks_y, threads;
};

// A function that a GPU runs.
class GpuKernel {
public:
  // Starts it in torch's current stream of the device; `arguments` point to its arguments.
  void launch(const GpuGrid &grid, void **arguments) const;

private:
  friend class GpuProgram;
  GpuKernel(const char *name, void *function, c10::Device device) :
      name_(name), function_(function), device_(device)
  {
  }
  const char *name_;
  void *function_;
  c10::Device device_;
};

class GpuProgram {
public:
  // Compiles CUDA C++ for a device. Throws std::runtime_error with what the compiler said.
  GpuProgram(const std::string &source, c10::Device device);
  GpuProgram(const GpuProgram &) = delete;
  GpuProgram &operator=(const GpuProgram &) = delete;

  // One of its kernels; `name` is a literal.
  GpuKernel kernel(const char *name) const;

private:
  c10::Device device_;
  void *module_ = nullptr;    // for as long as the process lives
};

// The program of a source, compiled when it is first asked for. nullptr where that cannot be done:
// one warning says why, after what happens `instead`.
const GpuProgram *gpu_program(const std::string &source, c10::Device device,
                              const std::string &instead);

// The type `real` and the functions that kernels are written with: KERNEL declares one, team() is
// the number of the team of TEAM threads that a thread is in.
std::string device_functions(bool is_double, std::int64_t team_size);

constexpr int threads_per_block = 128;

// Multiprocessors of a GPU.
int num_multiprocessors(c10::Device device);

}    // namespace mofmd

#endif
