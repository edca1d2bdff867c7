// Values that are made when they are first asked for. Free of torch and LAMMPS.

#ifndef MOFMD_MADE_ONCE_H
#define MOFMD_MADE_ONCE_H

#include <map>
#include <mutex>

namespace mofmd {

// Any thread may ask, as torch runs the backward pass of a GPU in threads of its own; others wait
// while a value is made.
template <typename Key, typename Value> class MadeOnce {
public:
  // The value of the key, which stays where it is; made by `make()` at the first call.
  template <typename Make> const Value &get(const Key &key, Make make)
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = values_.find(key);
    if (found != values_.end()) return found->second;
    return values_.emplace(key, make()).first->second;
  }

private:
  std::mutex mutex_;
  std::map<Key, Value> values_;
};

}    // namespace mofmd

#endif
