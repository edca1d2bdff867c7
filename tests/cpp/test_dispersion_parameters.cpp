// sources: dispersion/dispersion_parameters.cpp
#include "check.h"

#include "dispersion/dispersion_parameters.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unistd.h>
#include <vector>

using mofmd::DispersionParameters;

namespace {

// Two elements, with two reference systems and one; made up.
const std::vector<std::string> LINES = {
    "mofmd-d3 1   # format",
    "pbe",
    "bj s6 1.0 s8 0.7875 a1 0.4289 a2 4.4407",
    "2",
    "C 0.75 3.1 2 0.0 0.9868",
    "H 0.32 2.0 1 0.9118",
    "C C 2.9 49.1 43.2 43.2 30.5",
    "C H 2.7 16.1 12.1",
    "H H 2.1 7.5",
};

class File {
public:
  explicit File(const std::vector<std::string> &lines)
  {
    const int descriptor = mkstemp(path_);
    close(descriptor);
    std::ofstream file(path_);
    for (const std::string &line : lines) file << line << "\n";
  }
  ~File() { std::remove(path_); }
  DispersionParameters read() const { return mofmd::read_dispersion_parameters(path_); }

  // What is said of the file, less its name.
  std::string told() const
  {
    const std::string all = check::told<std::runtime_error>([this] { read(); });
    const std::string name = "'" + std::string(path_) + "', ";
    return all.compare(0, name.size(), name) == 0 ? all.substr(name.size()) : all;
  }

private:
  char path_[32] = "/tmp/mofmd-d3-XXXXXX";
};

std::string told_of(std::size_t line, const std::string &text)
{
  std::vector<std::string> lines = LINES;
  lines[line - 1] = text;
  return File(lines).told();
}

bool begins(const std::string &text, const std::string &with)
{
  const bool begins = text.compare(0, with.size(), with) == 0;
  if (!begins) std::cout << "'" << text << "'\n";
  return begins;
}

bool is_near(double found, double expected)
{
  return std::abs(found - expected) < 1e-9 * std::abs(expected);
}

}    // namespace

TEST(numbers_arrive_in_the_units_of_the_plugin)
{
  const DispersionParameters parameters = File(LINES).read();
  const double bohr = 0.529177210903, c6_unit = 27.211386245988 * std::pow(bohr, 6);
  EQUAL(parameters.method, "pbe");
  EQUAL(parameters.zero_damping, false);
  EQUAL(parameters.s6, 1.0);
  EQUAL(parameters.s8, 0.7875);
  EQUAL(parameters.a1, 0.4289);
  EQUAL(is_near(parameters.a2, 4.4407 * bohr), true);
  EQUAL(parameters.elements.size(), 2u);
  EQUAL(parameters.elements[0].name, "C");
  EQUAL(is_near(parameters.elements[0].covalent_radius, 1.0), true);    // 4/3 of it
  EQUAL(is_near(parameters.elements[0].moment, 3.1 * bohr), true);
  EQUAL((parameters.elements[0].reference_numbers == std::vector<double>{0.0, 0.9868}), true);
  EQUAL(is_near(parameters.c6[0][3], 30.5 * c6_unit), true);
}

TEST(tables_of_a_pair_are_those_of_its_mirror_image)
{
  const DispersionParameters parameters = File(LINES).read();
  const std::vector<double> &c_h = parameters.c6[0 * 2 + 1], &h_c = parameters.c6[1 * 2 + 0];
  EQUAL(c_h.size(), 2u);
  EQUAL(c_h == h_c, true);    // two rows of one column, one row of two
  EQUAL(is_near(c_h[0] / c_h[1], 16.1 / 12.1), true);
  EQUAL(parameters.radius[1], 2.7);
  EQUAL(parameters.radius[2], 2.7);
}

TEST(comments_and_empty_lines_are_passed_over)
{
  std::vector<std::string> lines = {"# made up", "", "  \t"};
  for (const std::string &line : LINES) lines.insert(lines.end(), {line + "  # more", ""});
  const DispersionParameters plain = File(LINES).read(), commented = File(lines).read();
  EQUAL(commented.c6 == plain.c6, true);
  EQUAL(commented.a2, plain.a2);
}

TEST(zero_damping_has_parameters_of_its_own)
{
  std::vector<std::string> lines = LINES;
  lines[2] = "zero s6 1.0 s8 0.722 rs6 1.217 rs8 1.0 bet 0.5";
  const DispersionParameters parameters = File(lines).read();
  EQUAL(parameters.zero_damping, true);
  EQUAL(parameters.rs6, 1.217);
  EQUAL(is_near(parameters.beta, 0.5 / 0.529177210903), true);
  EQUAL(begins(told_of(3, "zero s6 1.0 s8 0.722 rs6 1.217 rs8 1.0 a1 0.5"),
               "line 3: unknown parameter 'a1'"),
        true);
}

TEST(damaged_files_are_refused_with_the_line)
{
  for (const char *const format : {"mofmd-d3", "mofmd-d3 2", "mofmd-d4 1", "C H N"})
    EQUAL(begins(told_of(1, format), "line 1: expected 'mofmd-d3 1'"), true);
  EQUAL(begins(told_of(1, "mofmd-d3 12"), "line 1: '2' is one word too many"), true);
  EQUAL(begins(told_of(2, "pbe sol"), "line 2: 'sol' is one word too many"), true);
  EQUAL(begins(told_of(3, "tt s6 1.0"), "line 3: damping is bj or zero, not 'tt'"), true);
  EQUAL(begins(told_of(3, "bj s6 1.0 s8 0.8 a1 0.4"), "line 3: the parameter a2 is missing"), true);
  EQUAL(begins(told_of(3, "bj s6 1.0 s6 1.0 s8 0.8 a1 0.4 a2 4"), "line 3: unknown parameter 's6'"),
        true);
  EQUAL(begins(told_of(3, "bj s6 1,0 s8 0.8 a1 0.4 a2 4"), "line 3: unknown parameter ',0'"), true);
  for (const char *const count : {"0", "-1", "201"})
    EQUAL(begins(told_of(4, count), "line 4: expected the number of elements"), true);
  for (const char *const element : {"C 0.75 3.1 0", "C 0.75 3.1 8 0 1 2 3 4 5 6 7"})
    EQUAL(begins(told_of(5, element), "line 5: an element has 1 to"), true);
  EQUAL(begins(told_of(5, "C 0.75 3.1 2 0.0"), "line 5: expected a coordination number"), true);
  EQUAL(begins(told_of(7, "C H 2.9 1"), "line 7: expected the pair C C"), true);
  EQUAL(begins(told_of(8, "C H 2.7 16.1"), "line 8: expected a C6 coefficient"), true);
  EQUAL(begins(told_of(9, "H H 2.1 7.5 7.5"), "line 9: '7.5' is one word too many"), true);
}

TEST(files_that_end_early_are_refused_wherever_they_end)
{
  for (std::size_t length = 0; length < LINES.size(); ++length) {
    const std::vector<std::string> lines(LINES.begin(), LINES.begin() + length);
    EQUAL(begins(File(lines).told(),
                 "line " + std::to_string(length + 1) + ": the file ends too early"),
          true);
  }
  EQUAL(check::told<std::runtime_error>([] { mofmd::read_dispersion_parameters("/no/file"); }),
        "cannot read the file '/no/file'");
}
