// What is done to scripted models before they run.

#ifndef MOFMD_SCRIPTED_H
#define MOFMD_SCRIPTED_H

#include <torch/script.h>

#include <string>

namespace mofmd {

// Turns a model in float32 into one in float64: its weights and constants, and what its modules
// have written down as the type to compute in (an integer, as torch numbers its types).
inline void to_float64(const torch::jit::Module &model)
{
  const torch::NoGradGuard no_autograd;
  const auto number = [](torch::Dtype dtype) { return static_cast<std::int64_t>(dtype); };
  const auto is_dtype = [](const std::string &name) {
    const std::string end = "dtype";
    return name.size() >= end.size() &&
           name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  for (const torch::jit::Module &module : model.modules())
    for (const auto &[name, value] : module.named_attributes(/*recurse=*/false)) {
      if (value.isTensor() && value.toTensor().defined() &&
          value.toTensor().scalar_type() == torch::kFloat)
        value.toTensor().set_data(value.toTensor().to(torch::kDouble));
      if (is_dtype(name) && value.isInt() && value.toInt() == number(torch::kFloat))
        module._ivalue()->setAttr(name, number(torch::kDouble));
    }
}

}    // namespace mofmd

#endif
