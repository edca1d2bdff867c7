#include "base/reason.h"

#include "base/numbers.h"

namespace mofmd {

namespace {

  constexpr std::string_view INTERPRETER = "failed in the TorchScript interpreter.";
  constexpr std::string_view MARK = "<--- HERE";    // under the code that failed

  bool starts_with(std::string_view text, std::string_view start)
  {
    return text.substr(0, start.size()) == start;
  }

  // Takes the first line off the text.
  std::string_view next_line(std::string_view &text)
  {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    return line;
  }

  // Behind the last mark a line or two of code may follow, indented; then what happened.
  std::string_view after_the_code(std::string_view text)
  {
    const std::size_t mark = text.rfind(MARK);
    std::string_view rest = mark == text.npos ? text : text.substr(mark);
    next_line(rest);
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n')) next_line(rest);
    return rest;
  }

  // Before the first place in the code.
  std::string_view before_the_code(std::string_view text)
  {
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t here = text.size() - rest.size();
      const std::string_view line = trimmed(next_line(rest));
      if (starts_with(line, "File \"") || starts_with(line, "Serialized   File \""))
        return text.substr(0, here);
    }
    return text;
  }

  std::string in_one_line(std::string_view text)
  {
    std::string line;
    while (!text.empty()) {
      const std::string_view part = trimmed(next_line(text));
      if (part.empty() || part == ":") continue;
      if (!line.empty()) line += ' ';
      line += part;
    }
    while (!line.empty() && (line.back() == ':' || line.back() == ' ')) line.pop_back();
    return line;
  }

}    // namespace

std::string reason_of(std::string_view what)
{
  // functions of torch's, where it was built to list them
  const std::string_view told = what.substr(0, what.find("\nException raised from "));
  const bool interpreted = told.find(INTERPRETER) != told.npos;
  std::string reason = in_one_line(interpreted ? after_the_code(told) : before_the_code(told));
  for (const std::string_view empty_word : {"RuntimeError: ", "builtins."})
    if (starts_with(reason, empty_word)) reason.erase(0, empty_word.size());
  if (interpreted && !reason.empty()) return "the model failed: " + reason;
  // a compiled model hands over that it failed, and writes why
  if (reason.find("API call failed at") != reason.npos)
    return "the compiled model failed, and wrote why to standard error (" + reason + ")";
  return reason.empty() ? in_one_line(told) : reason;
}

bool is_out_of_memory(std::string_view what)
{
  for (const std::string_view sign :
       {"out of memory", "not enough memory", "t allocate memory", "std::bad_alloc"})
    if (what.find(sign) != what.npos) return true;
  return false;
}

}    // namespace mofmd
