// sources: kernels/convolution_shape.cpp
#include "check.h"

#include "base/model_error.h"
#include "kernels/convolution_shape.h"

#include <vector>

namespace {

using Fields = std::vector<std::int64_t>;

// Tables of 16, 4, 8 and 28 columns. Each path: x d1 y d2 out d3 w channels.
std::string told(const Fields &fields, std::int64_t couplings, std::int64_t out_width = 28)
{
  return check::told<mofmd::ModelError>([&] {
    mofmd::ConvolutionShape(fields.data(), fields.size(), 16, 4, 8, out_width, couplings);
  });
}

const std::string PREFIX = "mofmd::convolve: ";
const std::string FINE = "nothing thrown";
constexpr std::int64_t HUGE_NUMBER = std::int64_t{1} << 62;

}    // namespace

TEST(paths_within_the_tables)
{
  EQUAL(told({}, 0), FINE);
  EQUAL(told({0, 1, 0, 1, 0, 1, 0, 4, 4, 3, 1, 3, 4, 3, 4, 4}, 1 + 27), FINE);
  // the same part of x, of y and of out
  EQUAL(told({4, 3, 1, 3, 4, 3, 0, 4, 4, 3, 1, 3, 4, 3, 4, 4}, 27 + 27), FINE);
  // to the last column of each
  EQUAL(told({12, 1, 3, 1, 24, 1, 4, 4}, 1), FINE);
}

TEST(paths_out_of_the_tables)
{
  const std::string out = PREFIX + "a path leads out of the tables";
  EQUAL(told({13, 1, 3, 1, 24, 1, 4, 4}, 1), out);
  EQUAL(told({12, 1, 4, 1, 24, 1, 4, 4}, 1), out);
  EQUAL(told({12, 1, 3, 1, 25, 1, 4, 4}, 1), out);
  EQUAL(told({12, 1, 3, 1, 24, 1, 5, 4}, 1), out);
  EQUAL(told({0, 1, 0, 1, 0, 1, 0, 9}, 1), out);
  EQUAL(told({0, HUGE_NUMBER, 0, 1, 0, 1, 0, 4}, 1), out);    // four of it are no number
  EQUAL(told({0, 4, 0, 1, 0, 1, 0, HUGE_NUMBER}, 1), out);
  EQUAL(told({INT64_MAX, 1, 0, 1, 0, 1, 0, 4}, 1), out);
}

TEST(paths_without_a_size)
{
  const std::string none = PREFIX + "a path has no size";
  for (const int field : {0, 2, 4, 6}) {
    Fields fields{0, 1, 0, 1, 0, 1, 0, 4};
    fields[field] = -1;
    EQUAL(told(fields, 1), none);
  }
  for (const int field : {1, 3, 5, 7}) {
    Fields fields{0, 1, 0, 1, 0, 1, 0, 4};
    for (const std::int64_t size : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN}) {
      fields[field] = size;
      EQUAL(told(fields, 1), none);
    }
  }
  EQUAL(told({0, 1, 0}, 1), PREFIX + "paths have 8 numbers each");
  EQUAL(told({}, 0, -1), PREFIX + "a table has no width");
}

TEST(two_paths_in_one_place)
{
  const auto overlap = [](const char *table) {
    return PREFIX + "two paths use parts of " + table + " that overlap";
  };
  const Fields first{0, 1, 0, 1, 0, 1, 0, 4};
  const auto beside = [&](const Fields &second) {
    Fields both = first;
    both.insert(both.end(), second.begin(), second.end());
    return told(both, 1 + second[1] * second[3] * second[5]);
  };
  EQUAL(beside({4, 1, 1, 1, 4, 1, 4, 4}), FINE);
  EQUAL(beside({0, 1, 1, 1, 4, 1, 4, 2}), overlap("x"));    // one offset, fewer channels
  EQUAL(beside({0, 3, 1, 1, 4, 1, 4, 4}), overlap("x"));    // one offset, more components
  EQUAL(beside({0, 2, 1, 1, 4, 1, 4, 2}), overlap("x"));    // the same columns otherwise
  EQUAL(beside({3, 1, 1, 1, 4, 1, 4, 4}), overlap("x"));
  EQUAL(beside({4, 1, 0, 3, 4, 1, 4, 4}), overlap("y"));
  EQUAL(beside({4, 1, 1, 1, 0, 3, 4, 4}), overlap("out"));
  EQUAL(beside({4, 1, 1, 1, 2, 1, 4, 4}), overlap("out"));
  EQUAL(beside({4, 1, 1, 1, 4, 1, 0, 4}), overlap("w"));    // even the same
  EQUAL(beside({4, 1, 1, 1, 4, 1, 3, 4}), overlap("w"));
  // a long part around short ones
  EQUAL(told({0, 4, 0, 1, 0, 1, 0, 4, 1, 1, 1, 1, 4, 1, 4, 1, 5, 1, 2, 1, 8, 1, 5, 1}, 6),
        overlap("x"));
}

TEST(couplings_are_those_of_the_paths)
{
  const std::string wrong = PREFIX + "wrong number of couplings";
  const Fields paths{0, 1, 0, 1, 0, 1, 0, 4, 4, 3, 1, 3, 4, 3, 4, 4};
  for (const std::int64_t number : {-1, 0, 1, 27, 29}) EQUAL(told(paths, number), wrong);
  EQUAL(told({}, 1), wrong);
}
