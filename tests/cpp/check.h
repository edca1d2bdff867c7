// Tests of the plugin's parts that know neither LAMMPS nor torch. A file of them is a program that
// runs the test which its argument names; tests/installation/test_plugin_parts.py compiles and runs
// them all.

#ifndef MOFMD_TESTS_CHECK_H
#define MOFMD_TESTS_CHECK_H

#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <string>

namespace check {

inline std::map<std::string, std::function<void()>> &tests()
{
  static std::map<std::string, std::function<void()>> all;
  return all;
}
inline int failures = 0;

struct Registered {
  Registered(const char *name, std::function<void()> test) { tests()[name] = std::move(test); }
};

template <typename A, typename B>
void equal(const A &found, const B &expected, const char *text, int line)
{
  if (found == expected) return;
  ++failures;
  std::cout << "line " << line << ": " << text << " is " << found << ", expected " << expected
            << "\n";
}

// What the call throws as an Error.
template <typename Error, typename Call> std::string told(Call call)
{
  try {
    call();
  } catch (const Error &error) {
    return error.what();
  }
  return "nothing thrown";
}

}    // namespace check

#define TEST(name)                                                                                 \
  static void test_##name();                                                                       \
  static const check::Registered registered_##name(#name, test_##name);                            \
  static void test_##name()
#define EQUAL(found, expected) check::equal(found, expected, #found, __LINE__)

int main(int count, char **arguments)
{
  const auto test = check::tests().find(count > 1 ? arguments[1] : "");
  if (test == check::tests().end()) {
    std::cout << "no such test\n";
    return 2;
  }
  test->second();
  return check::failures > 0;
}

#endif
