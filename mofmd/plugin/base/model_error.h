#ifndef MOFMD_MODEL_ERROR_H
#define MOFMD_MODEL_ERROR_H

#include <stdexcept>

namespace mofmd {

// A model that cannot be used or that failed; the text says what is wrong and how to mend it.
class ModelError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

// A step of fixed shapes cannot be recorded; without recording it can be done.
class RecordingError : public ModelError {
public:
  using ModelError::ModelError;
};

}    // namespace mofmd

#endif
