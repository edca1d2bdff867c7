// What the plugin asks torch about the processor: here the kernels that run on any are taken.

#ifndef MOFMD_TESTS_ATEN_VERSION_H
#define MOFMD_TESTS_ATEN_VERSION_H

#include <string>

namespace at {

inline std::string get_cpu_capability()
{
  return "DEFAULT";
}

}    // namespace at

#endif
