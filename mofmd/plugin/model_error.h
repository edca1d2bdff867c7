#ifndef MOFMD_MODEL_ERROR_H
#define MOFMD_MODEL_ERROR_H

#include <stdexcept>

namespace mofmd {

// A model that cannot be used or that failed; the text says what is wrong and how to mend it.
class ModelError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

}    // namespace mofmd

#endif
