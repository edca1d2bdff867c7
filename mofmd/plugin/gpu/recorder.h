// Work for a GPU that is launched as one: recorded once, then replayed.

#ifndef MOFMD_RECORDER_H
#define MOFMD_RECORDER_H

#include <torch/types.h>

#include <functional>
#include <memory>
#include <vector>

namespace mofmd {

// Addresses and sizes of the memory that recorded work reads: as long as they are the same, what
// was recorded is right.
using Layout = std::vector<std::int64_t>;

class Recorder {
public:
  explicit Recorder(torch::Device device);
  ~Recorder();

  // What `work` gives on the present contents of the memory that it reads. It is done a few times
  // with the same `layout`, then recorded and from there on replayed. On a CPU it is done each
  // time. Throws RecordingError when the device cannot record it.
  const torch::Tensor &run(const Layout &layout, const std::function<torch::Tensor()> &work);

  // Whether this build of the plugin records at all.
  static bool can_record();

private:
  struct Recording;
  torch::Device device_;
  Layout layout_;
  int calls_ = 0;    // of work with this layout
  torch::Tensor result_;
  std::unique_ptr<Recording> recording_;

  void forget();
  void warm_up(const std::function<torch::Tensor()> &work);
  void record(const std::function<torch::Tensor()> &work);
};

}    // namespace mofmd

#endif
