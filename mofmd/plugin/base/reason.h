// What torch says when something fails, in one line. Free of torch and LAMMPS.

#ifndef MOFMD_REASON_H
#define MOFMD_REASON_H

#include <string>
#include <string_view>

namespace mofmd {

// The sentence that tells what happened, out of the text of an exception of torch: without the code
// of the model around it and without torch's own functions. TorchScript's interpreter says at the
// end what happened, its compiler at the beginning.
std::string reason_of(std::string_view what);

// Whether an exception's text says that there is no memory left.
bool is_out_of_memory(std::string_view what);

}    // namespace mofmd

#endif
