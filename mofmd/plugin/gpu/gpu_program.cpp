#include "gpu/gpu_program.h"

#include "base/made_once.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <dlfcn.h>

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace mofmd {

namespace {

  // A function of CUDA's, by name. Torch's own library depends on both the compiler and the driver
  // and knows where they lie; without a GPU it is never loaded.
  template <typename Function> Function cuda_function(const char *name)
  {
    static void *const library = dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) throw std::runtime_error(std::string("no compiler for GPUs: ") + dlerror());
    void *const found = dlsym(library, name);
    if (!found) throw std::runtime_error(std::string("torch's compiler for GPUs lacks ") + name);
    return reinterpret_cast<Function>(found);
  }

  // Declared by hand after the documents of CUDA's driver and run-time compiler: all status codes
  // are int with 0 for success, all handles are pointers.
  void check_driver(int status, const char *what)
  {
    if (status == 0) return;
    const char *text = nullptr;
    cuda_function<int (*)(int, const char **)>("cuGetErrorString")(status, &text);
    throw std::runtime_error(std::string(what) + ": " + (text ? text : "unknown error"));
  }

  int device_attribute(int attribute, c10::Device device)
  {
    int value = 0;
    check_driver(cuda_function<int (*)(int *, int, int)>("cuDeviceGetAttribute")(&value, attribute,
                                                                                 device.index()),
                 "the GPU does not tell what it is");
    return value;
  }

  std::vector<char> compile(const std::string &source, c10::Device device)
  {
    constexpr int capability_major = 75, capability_minor = 76;
    const std::string architecture = "--gpu-architecture=sm_" +
                                     std::to_string(device_attribute(capability_major, device)) +
                                     std::to_string(device_attribute(capability_minor, device));
    const char *const options[] = {architecture.c_str(), "--std=c++17"};

    void *program = nullptr;
    using Create =
        int (*)(void **, const char *, const char *, int, const char *const *, const char *const *);
    if (cuda_function<Create>("nvrtcCreateProgram")(&program, source.c_str(), "mofmd.cu", 0,
                                                    nullptr, nullptr) != 0)
      throw std::runtime_error("the compiler for GPUs does not start");
    using Compile = int (*)(void *, int, const char *const *);
    using Size = int (*)(void *, std::size_t *);
    using Get = int (*)(void *, char *);
    const auto get = [program](const char *size_name, const char *name) {
      std::size_t size = 0;
      cuda_function<Size>(size_name)(program, &size);
      std::vector<char> content(size);
      if (size > 0) cuda_function<Get>(name)(program, content.data());
      return content;
    };
    const int status = cuda_function<Compile>("nvrtcCompileProgram")(program, 2, options);
    const std::vector<char> result = status == 0
                                         ? get("nvrtcGetCUBINSize", "nvrtcGetCUBIN")
                                         : get("nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
    cuda_function<int (*)(void **)>("nvrtcDestroyProgram")(&program);
    if (status != 0)
      throw std::runtime_error("the compiler for GPUs refused a kernel: " +
                               std::string(result.begin(), result.end()));
    return result;
  }

  // The handle of a stream, from versions of torch that give it without CUDA's headers.
  template <typename Guard> auto stream_handle(const Guard &guard, c10::Device device, int)
      -> decltype(guard.getStreamNativeHandle(guard.getStream(device)))
  {
    return guard.getStreamNativeHandle(guard.getStream(device));
  }
  template <typename Guard> void *stream_handle(const Guard &, c10::Device, long)
  {
    throw std::runtime_error("this version of torch keeps its streams to itself");
  }

  void *current_stream(c10::Device device)
  {
    return stream_handle(c10::impl::VirtualGuardImpl(device.type()), device, 0);
  }

}    // namespace

GpuProgram::GpuProgram(const std::string &source, c10::Device device) : device_(device)
{
  current_stream(device);    // or there is no use in compiling
  const std::vector<char> code = compile(source, device);
  check_driver(
      cuda_function<int (*)(void **, const void *)>("cuModuleLoadData")(&module_, code.data()),
      "the GPU does not take a kernel");
}

GpuKernel GpuProgram::kernel(const char *name) const
{
  void *function = nullptr;
  check_driver(cuda_function<int (*)(void **, void *, const char *)>("cuModuleGetFunction")(
                   &function, module_, name),
               name);
  return {name, function, device_};
}

void GpuKernel::launch(const GpuGrid &grid, void **arguments) const
{
  using Launch = int (*)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                         unsigned, void *, void **, void **);
  static const auto launch_kernel = cuda_function<Launch>("cuLaunchKernel");
  check_driver(launch_kernel(function_, grid.blocks_x, grid.blocks_y, 1, grid.threads, 1, 1, 0,
                             current_stream(device_), arguments, nullptr),
               name_);
}

// What is kept is never destroyed: at the end of the process the device may be gone before it.
const GpuProgram *gpu_program(const std::string &source, c10::Device device,
                              const std::string &instead)
{
  static auto &programs = *new MadeOnce<std::pair<std::string, int>, std::unique_ptr<GpuProgram>>;
  static auto &warnings = *new MadeOnce<std::string, bool>;
  const auto compiled = [&]() -> std::unique_ptr<GpuProgram> {
    try {
      return std::make_unique<GpuProgram>(source, device);
    } catch (const std::runtime_error &error) {
      warnings.get(instead, [&] {
        TORCH_WARN("mofmd: ", instead, ": ", error.what());
        return true;
      });
      return nullptr;
    }
  };
  return programs.get({source, device.index()}, compiled).get();
}

int num_multiprocessors(c10::Device device)
{
  constexpr int multiprocessor_count = 16;
  return device_attribute(multiprocessor_count, device);
}

std::string device_functions(bool is_double, std::int64_t team_size)
{
  return std::string("typedef ") + (is_double ? "double" : "float") + " real;\n#define TEAM " +
         std::to_string(team_size) + R"(
#define KERNEL extern "C" __global__ void __launch_bounds__()" +
         std::to_string(threads_per_block) + R"()
__device__ long long team()
{
  return (blockIdx.x * (long long) blockDim.x + threadIdx.x) / TEAM;
}
__device__ int lane() { return threadIdx.x % TEAM; }
__device__ int channel_block() { return blockIdx.y; }
template <typename T> __device__ void add(T *sum, T term) { atomicAdd(sum, term); }
__device__ bool is_first_of_warp() { return threadIdx.x % 32 == 0; }
template <typename T> __device__ T warp_sum(T term)
{
  for (int k = 16; k > 0; k /= 2) term += __shfl_xor_sync(~0u, term, k);
  return term;
}
__device__ void stop() { asm volatile("trap;"); }
__device__ real team_sum(real term)
{
  const unsigned int members =
      TEAM == 32 ? ~0u : ((1u << (TEAM % 32)) - 1u) << (threadIdx.x % 32 / TEAM * TEAM);
  for (int k = TEAM / 2; k > 0; k /= 2) term += __shfl_xor_sync(members, term, k);
  return term;
}
)";
}

}    // namespace mofmd
