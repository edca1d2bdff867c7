// Numbers as text: read and written in the same way whatever the locale of the process is. Free of
// torch and LAMMPS.

#ifndef MOFMD_NUMBERS_H
#define MOFMD_NUMBERS_H

#include <charconv>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace mofmd {

// The text without blanks at its ends.
inline std::string_view trimmed(std::string_view text)
{
  constexpr const char *BLANKS = " \t\r\n";
  const std::size_t first = text.find_first_not_of(BLANKS);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(BLANKS) - first + 1);
}

// The number that the text is, but for blanks at its ends; nothing when it is more, less or too
// large for the type.
template <typename Number> std::optional<Number> read_number(std::string_view text)
{
  const std::string_view word = trimmed(text);
  const char *const past = word.data() + word.size();
  Number number{};
  const auto [end, failure] = std::from_chars(word.data(), past, number);
  if (failure != std::errc() || end != past) return std::nullopt;
  return number;
}

// As few digits as it takes to read the same number again.
inline std::string to_text(double number)
{
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

// A count that the environment tells, such as the threads of OMP_NUM_THREADS; nothing where it is
// not set. Of a list ("4,2", one number for each level of threads) the first. Throws
// std::invalid_argument when it is no whole number, or below `least`.
inline std::optional<int> count_in_environment(const char *name, int least)
{
  const char *const value = std::getenv(name);
  if (!value || trimmed(value).empty()) return std::nullopt;
  const std::string_view text = value;
  const std::optional<int> count = read_number<int>(text.substr(0, text.find(',')));
  if (!count || *count < least)
    throw std::invalid_argument("the environment variable " + std::string(name) + " is '" + value +
                                "', expected a whole number of at least " + std::to_string(least));
  return count;
}

}    // namespace mofmd

#endif
