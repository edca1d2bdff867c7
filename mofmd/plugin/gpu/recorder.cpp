#include "gpu/recorder.h"

#include "base/model_error.h"
#include "base/reason.h"

#include <map>

// CUDA graphs, where torch is built with CUDA and its headers are at hand; else torch's recordings
// for any accelerator, of torch 2.13, which need no more headers than torch's own.
#if MOFMD_HAS_CUDA_HEADERS
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#define MOFMD_HAS_RECORDINGS 1
#elif __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/DeviceAccelerator.h>
#include <ATen/accelerator/Graph.h>
#define MOFMD_HAS_RECORDINGS 1
#endif
#if MOFMD_HAS_RECORDINGS
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>
#endif

namespace mofmd {

#if MOFMD_HAS_RECORDINGS
namespace {

#if MOFMD_HAS_CUDA_HEADERS
  using DeviceRecording = at::cuda::CUDAGraph;

  void free_unused_memory()
  {
    c10::cuda::CUDACachingAllocator::emptyCache();
  }
#else
  using DeviceRecording = at::accelerator::Graph;

  void free_unused_memory()
  {
    at::accelerator::emptyCache();
  }
#endif

  // One stream for all recordings of a device: torch keeps memory for each stream that it has seen.
  c10::Stream recording_stream(torch::Device device)
  {
    static auto &streams = *new std::map<c10::DeviceIndex, c10::Stream>;
    const auto found = streams.find(device.index());
    if (found != streams.end()) return found->second;
    const c10::impl::VirtualGuardImpl pool(device.type());
    return streams.emplace(device.index(), pool.getStreamFromGlobalPool(device)).first->second;
  }

}    // namespace

struct Recorder::Recording {
  DeviceRecording graph;
};

// Memory of a recording is its own until it is handed back.
void Recorder::forget()
{
  calls_ = 0;
  if (!recording_) return;
  torch::cuda::synchronize(device_.index());
  result_ = torch::Tensor();
  recording_.reset();
  free_unused_memory();
}

// Here and while recording, work is in a stream of its own, between synchronisations.
void Recorder::warm_up(const std::function<torch::Tensor()> &work)
{
  torch::cuda::synchronize(device_.index());
  const c10::StreamGuard guard(recording_stream(device_));
  result_ = work();
  torch::cuda::synchronize(device_.index());
}

void Recorder::record(const std::function<torch::Tensor()> &work)
{
  result_ = torch::Tensor();
  torch::cuda::synchronize(device_.index());
  free_unused_memory();    // of the calls before, which a recording cannot use
  const c10::StreamGuard guard(recording_stream(device_));
  auto recording = std::make_unique<Recording>();
  try {
    recording->graph.capture_begin();
    result_ = work();
    recording->graph.capture_end();
  } catch (const std::exception &error) {
    try {
      recording->graph.capture_end();    // or else the device goes on recording
    } catch (const std::exception &) {
    }
    result_ = torch::Tensor();
    throw RecordingError("the model cannot be recorded: start again with 'graph device' in place "
                         "of 'graph fixed' (" +
                         reason_of(error.what()) + ")");
  }
  recording_ = std::move(recording);
}

const torch::Tensor &Recorder::run(const Layout &layout, const std::function<torch::Tensor()> &work)
{
  constexpr int WARM_UP = 3;    // calls after which libraries and TorchScript allocate no more
  if (device_.is_cpu()) return result_ = work();
  if (layout != layout_) {
    layout_ = layout;
    forget();
  }
  if (calls_ < WARM_UP) {
    warm_up(work);
    ++calls_;
    return result_;
  }
  if (!recording_) record(work);
  recording_->graph.replay();
  return result_;
}

bool Recorder::can_record()
{
  return true;
}
#else
struct Recorder::Recording {};

const torch::Tensor &Recorder::run(const Layout &, const std::function<torch::Tensor()> &work)
{
  if (!device_.is_cpu())
    throw ModelError("'graph fixed' on a GPU needs torch 2.13 or newer, or CUDA's headers when the "
                     "plugin is built; this is torch " +
                     loaded_torch_version() + " without them: take 'graph device'");
  return result_ = work();
}

bool Recorder::can_record()
{
  return false;
}
#endif

Recorder::Recorder(torch::Device device) : device_(device)
{
}

Recorder::~Recorder() = default;

}    // namespace mofmd
