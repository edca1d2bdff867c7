// The strings of a JSON object, which is how an AOTInductor package keeps its metadata. Free of
// torch and LAMMPS.

#ifndef MOFMD_JSON_STRINGS_H
#define MOFMD_JSON_STRINGS_H

#include <map>
#include <string>
#include <string_view>

namespace mofmd {

// The members of the object that are strings, in UTF-8; of a name that occurs twice the last. Other
// members, whatever is inside of them, are read over. Throws std::invalid_argument, which tells the
// place, when the text is not one JSON object (RFC 8259) and nothing else.
std::map<std::string, std::string> json_strings(std::string_view text);

}    // namespace mofmd

#endif
