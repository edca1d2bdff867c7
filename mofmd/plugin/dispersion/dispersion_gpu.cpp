#include "dispersion/dispersion_gpu.h"

#include "dispersion_device_text.h"
#include "dispersion_terms_text.h"
#include "gpu/gpu_program.h"
#include "graph/tensors.h"

#include <c10/core/DeviceGuard.h>
#include <torch/library.h>
#include <torch/types.h>

#include <vector>

namespace mofmd {

namespace {

  constexpr std::int64_t team = 32;    // a warp has a centre

  // Memory of the host as a tensor of bytes.
  template <typename T> torch::Tensor bytes_at(const T *host, std::size_t count)
  {
    return torch::from_blob(const_cast<void *>(static_cast<const void *>(host)),
                            {static_cast<std::int64_t>(count * sizeof(T))},
                            torch::dtype(torch::kByte));
  }

}    // namespace

std::string dispersion_source()
{
  return std::string("#define MOFMD_TERM __device__ inline\n") + DISPERSION_TERMS_TEXT +
         DISPERSION_DEVICE_TEXT;
}

// The job as the device sees it, and the tensors that hold what it points to.
class DispersionGpu::Memory {
public:
  explicit Memory(const std::string &name) :
      device(torch_device(name)),
      program(device_functions(/*is_double=*/true, team) + dispersion_source(), device)
  {
  }

  const torch::Device device;
  GpuProgram program;
  const GpuKernel neighbour_counts = program.kernel("count_neighbours");
  const GpuKernel reference_weights = program.kernel("weigh_references");
  const GpuKernel pair_sums = program.kernel("sum_pairs");
  const GpuKernel chain_forces = program.kernel("add_chain_forces");
  DispersionJob job{};

  // A pointer of the job: to what the host has there now, or to room for it.
  template <typename T> void take(const T *&pointer, const T *host, std::size_t count)
  {
    pointer = static_cast<const T *>(hold(bytes_at(host, count).to(device)));
  }
  template <typename T> void reserve(T *&pointer, std::size_t count)
  {
    const auto bytes = static_cast<std::int64_t>(count * sizeof(double));
    const torch::Tensor room = torch::zeros({bytes}, torch::dtype(torch::kByte).device(device));
    pointer = static_cast<T *>(hold(room));
  }
  void release() { held_.clear(); }

  void upload(const double *to, const double *host, std::size_t count)
  {
    on_device(to, count).copy_(bytes_at(host, count));
  }
  void download(const double *from, double *host, std::size_t count)
  {
    bytes_at(host, count).copy_(on_device(from, count));
  }

  static void launch(const GpuKernel &kernel, std::int64_t teams, void **arguments)
  {
    if (teams == 0) return;
    const std::int64_t teams_per_block = threads_per_block / team;
    const GpuGrid grid{static_cast<unsigned>((teams + teams_per_block - 1) / teams_per_block), 1,
                       static_cast<unsigned>(threads_per_block)};
    kernel.launch(grid, arguments);
  }

private:
  std::vector<torch::Tensor> held_;

  void *hold(const torch::Tensor &tensor)
  {
    held_.push_back(tensor);
    return tensor.data_ptr();
  }
  torch::Tensor on_device(const double *pointer, std::size_t count) const
  {
    return torch::from_blob(const_cast<double *>(pointer),
                            {static_cast<std::int64_t>(count * sizeof(double))},
                            torch::dtype(torch::kByte).device(device));
  }
};

DispersionGpu::DispersionGpu(const std::string &device) : memory_(std::make_unique<Memory>(device))
{
}

DispersionGpu::~DispersionGpu() = default;

void DispersionGpu::take_lists(const DispersionJob &host)
{
  const c10::DeviceGuard guard(memory_->device);
  const std::size_t kinds = host.num_kinds, centres = host.num_centres;
  const std::size_t sites = host.kind_begin[host.num_kinds];
  DispersionJob &job = memory_->job;
  memory_->release();
  job = host;
  memory_->take(job.kind_begin, host.kind_begin, kinds + 1);
  memory_->take(job.num_references, host.num_references, kinds);
  memory_->take(job.reference_numbers, host.reference_numbers, kinds * MOST_REFERENCES);
  memory_->take(job.c6, host.c6, kinds * kinds * MOST_REFERENCES * MOST_REFERENCES);
  memory_->take(job.pairs, host.pairs, kinds * kinds);
  memory_->take(job.x, host.x, sites);
  memory_->take(job.y, host.y, sites);
  memory_->take(job.z, host.z, sites);
  memory_->take(job.of_site, host.of_site, sites);
  memory_->take(job.centre_site, host.centre_site, centres);
  memory_->take(job.centre_kind, host.centre_kind, centres);
  for (const auto near : {&DispersionJob::near, &DispersionJob::bonded}) {
    const NearSites &lists = host.*near;
    memory_->take((job.*near).first, lists.first, centres * kinds + 1);
    memory_->take((job.*near).items, lists.items, lists.first[centres * kinds]);
  }
  memory_->reserve(job.coordination, centres);
  memory_->reserve(job.weights, MOST_REFERENCES * sites);
  memory_->reserve(job.energy, centres);
  memory_->reserve(job.by_coordination, centres);
  memory_->reserve(job.force, 3 * centres);
  memory_->reserve(job.virial, 6 * centres);
}

void DispersionGpu::count_neighbours(const DispersionJob &host)
{
  const c10::DeviceGuard guard(memory_->device);
  const DispersionJob &job = memory_->job;
  const std::size_t sites = host.kind_begin[host.num_kinds];
  memory_->upload(job.x, host.x, sites);
  memory_->upload(job.y, host.y, sites);
  memory_->upload(job.z, host.z, sites);
  void *arguments[] = {&memory_->job};
  Memory::launch(memory_->neighbour_counts, host.num_centres, arguments);
  memory_->download(job.coordination, host.coordination, host.num_centres);
}

void DispersionGpu::sum_pairs(const DispersionJob &host)
{
  const c10::DeviceGuard guard(memory_->device);
  DispersionJob job = memory_->job;
  memory_->upload(job.of_site, host.of_site, host.kind_begin[host.num_kinds]);
  memory_->upload(job.force, host.force, 3 * host.num_centres);    // zeros
  if (host.virial)
    memory_->upload(job.virial, host.virial, 6 * host.num_centres);
  else
    job.virial = nullptr;
  for (int kind = 0; kind < host.num_kinds; ++kind) {
    void *arguments[] = {&job, &kind};
    const int sites = host.kind_begin[kind + 1] - host.kind_begin[kind];
    Memory::launch(memory_->reference_weights, (sites + team - 1) / team, arguments);
  }
  void *arguments[] = {&job};
  Memory::launch(memory_->pair_sums, host.num_centres, arguments);
  memory_->download(job.energy, host.energy, host.num_centres);
  memory_->download(job.by_coordination, host.by_coordination, host.num_centres);
}

void DispersionGpu::add_chain_forces(const DispersionJob &host)
{
  const c10::DeviceGuard guard(memory_->device);
  DispersionJob job = memory_->job;
  memory_->upload(job.of_site, host.of_site, host.kind_begin[host.num_kinds]);
  if (!host.virial) job.virial = nullptr;
  void *arguments[] = {&job};
  Memory::launch(memory_->chain_forces, host.num_centres, arguments);
  memory_->download(job.force, host.force, 3 * host.num_centres);
  if (host.virial) memory_->download(job.virial, host.virial, 6 * host.num_centres);
}

}    // namespace mofmd

// For the tests, which run the kernels' text on a CPU.
TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  library.def("dispersion_source() -> str", mofmd::dispersion_source);
}
