// What the plugin's kernels use of torch's threads, with threads of C++'s own: a thread sanitizer
// sees through these, and not through the OpenMP library.

#ifndef MOFMD_TESTS_ATEN_PARALLEL_H
#define MOFMD_TESTS_ATEN_PARALLEL_H

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace at {

inline int number_of_threads = 1;
inline int get_num_threads()
{
  return number_of_threads;
}

template <typename Work>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Work &work)
{
  const std::int64_t tasks = std::min<std::int64_t>(number_of_threads, (end - begin) / grain + 1);
  const std::int64_t size = (end - begin + tasks - 1) / tasks;
  std::vector<std::thread> threads;
  for (std::int64_t first = begin; first < end; first += size)
    threads.emplace_back([&work, first, past = std::min(first + size, end)] { work(first, past); });
  for (std::thread &thread : threads) thread.join();
}

}    // namespace at

#endif
