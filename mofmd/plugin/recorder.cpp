#include "recorder.h"

#include "model.h"

#include <map>

// Torch's recordings for any accelerator: CUDA graphs on NVIDIA's. Older versions of torch have
// them behind CUDA's headers only, which are not needed to build the plugin.
#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/DeviceAccelerator.h>
#include <ATen/accelerator/Graph.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>
#define MOFMD_HAS_RECORDINGS 1
#endif

namespace mofmd {

#if MOFMD_HAS_RECORDINGS
struct Recorder::Recording {
  at::accelerator::Graph graph;
};

namespace {

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

void Recorder::record(const std::function<torch::Tensor()> &work)
{
  constexpr int WARM_UP = 3;    // calls after which libraries and TorchScript allocate no more
  result_ = torch::Tensor();
  recording_.reset();
  torch::cuda::synchronize(device_.index());
  at::accelerator::emptyCache();    // the memory of the last recording is of no use to this one
  const c10::StreamGuard guard(recording_stream(device_));
  for (int k = 0; k < WARM_UP; ++k) work();
  torch::cuda::synchronize(device_.index());
  auto recording = std::make_unique<Recording>();
  recording->graph.capture_begin();
  try {
    result_ = work();
  } catch (const std::exception &error) {
    try {
      recording->graph.capture_end();    // or else the device goes on recording
    } catch (const std::exception &) {
    }
    throw ModelError("the model cannot be recorded: start again with 'graph device' in place of "
                     "'graph fixed' (" +
                     std::string(error.what()) + ")");
  }
  recording->graph.capture_end();
  recording_ = std::move(recording);
}

const torch::Tensor &Recorder::run(const Layout &layout, const std::function<torch::Tensor()> &work)
{
  if (device_.is_cpu()) return result_ = work();
  if (!recording_ || layout != layout_) record(work);
  layout_ = layout;
  recording_->graph.replay();
  return result_;
}
#else
struct Recorder::Recording {};

const torch::Tensor &Recorder::run(const Layout &, const std::function<torch::Tensor()> &work)
{
  if (!device_.is_cpu())
    throw ModelError("'graph fixed' needs torch 2.13 or newer on a GPU, this is " +
                     loaded_torch_version() + ": take 'graph device'");
  return result_ = work();
}
#endif

Recorder::Recorder(torch::Device device) : device_(device)
{
}

Recorder::~Recorder() = default;

}    // namespace mofmd
