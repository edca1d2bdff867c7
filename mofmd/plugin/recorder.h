// Work for a GPU that is launched as one: recorded once, then replayed.

#ifndef MOFMD_RECORDER_H
#define MOFMD_RECORDER_H

#include <torch/types.h>

#include <functional>
#include <memory>

namespace mofmd {

class Recorder {
public:
  explicit Recorder(torch::Device device);
  ~Recorder();

  // What `work` gives on the present contents of the memory that it reads. It is recorded anew when
  // `layout` changes: sizes and places of that memory. On a CPU it is done each time.
  // Throws ModelError when the device cannot record it.
  const torch::Tensor &run(std::int64_t layout, const std::function<torch::Tensor()> &work);

private:
  struct Recording;
  torch::Device device_;
  std::int64_t layout_ = -1;
  torch::Tensor result_;
  std::unique_ptr<Recording> recording_;

  void record(const std::function<torch::Tensor()> &work);
};

}    // namespace mofmd

#endif
