// sources: density/density.cpp
#include "check.h"

#include "base/model_error.h"
#include "density/density.h"

#include <cmath>
#include <limits>

using mofmd::Density;
using mofmd::ModelError;

namespace {

// Three features, of which the first and last count; two Gaussians along their sum, far apart.
const std::string TEXT =
    "mofmd_density 1\nmodel abc\nquantile 0.999\nwidth 3\ncolumns 2 0 2\n"
    "element C\nmedian 1.0\nlimit 3.0\ndimensions 1\nrest_axes 0\ncomponents 2\n"
    "mean 1.0 2.0\naxes 1.0 1.0\nrest\nweights 0.25 0.75\nmeans -50.0 50.0\n"
    "factors 2.0 1.0\n";
const std::vector<std::string> NAMES = {"H", "C"};

std::string told(const std::string &text, const std::string &model = "abc")
{
  return check::told<ModelError>([&] { Density(text, NAMES, model); });
}

bool contains(const std::string &text, const std::string &part)
{
  return text.find(part) != std::string::npos;
}

std::string replaced(const std::string &old, const std::string &by)
{
  std::string text = TEXT;
  return text.replace(text.find(old), old.size(), by);
}

double gaussian(double x, double mean, double width)    // ln
{
  return -0.5 * std::log(2.0 * std::acos(-1.0)) - std::log(width) -
         0.5 * (x - mean) * (x - mean) / (width * width);
}

}    // namespace

TEST(scores_are_in_units_of_held_out_atoms)
{
  const Density density(TEXT, NAMES, "abc");
  EQUAL(density.width(), 3u);
  const double features[3] = {51.0, 1e9, 2.5};    // y = 50.5
  const double expected = (-std::log(0.75) - gaussian(50.5, 50.0, 1.0) - 1.0) / 2.0;
  EQUAL(std::abs(density.score(1, features) - expected) < 1e-12, true);
  const double others[3] = {-49.0, 0.0, 1.0};    // y = -51
  const double narrower = (-std::log(0.25) - gaussian(-51.0, -50.0, 0.5) - 1.0) / 2.0;
  EQUAL(std::abs(density.score(1, others) - narrower) < 1e-12, true);
}

TEST(what_the_axes_leave_over_is_a_coordinate)
{
  const Density density("mofmd_density 1 model abc quantile 0.9 width 3 columns 3 0 1 2 element H "
                        "median 0.0 limit 1.0 dimensions 2 rest_axes 2 components 1 mean 0 0 0 "
                        "axes 1 0 0 rest 0 0.5 0 0 0 2 weights 1 means 3.0 5.0 "
                        "factors 1.0 0.0 0.0 1.0",
                        NAMES, "abc");
  const double features[3] = {4.0, 6.0, -2.0};    // y = 4 and |(3, -4)|
  const double expected = -gaussian(4.0, 3.0, 1.0) - gaussian(5.0, 5.0, 1.0);
  EQUAL(std::abs(density.score(0, features) - expected) < 1e-12, true);
}

TEST(far_from_everything_is_a_large_number)
{
  const Density density(TEXT, NAMES, "abc");
  const double features[3] = {1e6, 0.0, 0.0};
  EQUAL(density.score(1, features) > 1e11, true);
  EQUAL(std::isfinite(density.score(1, features)), true);
}

TEST(an_element_never_seen_is_infinitely_new)
{
  const Density density(TEXT, NAMES, "abc");
  const double features[3] = {51.0, 0.0, 2.0};
  EQUAL(density.score(0, features), std::numeric_limits<double>::infinity());
}

TEST(another_model_or_version_is_refused)
{
  EQUAL(contains(told(TEXT, "abd"), "another model"), true);
  EQUAL(contains(told(replaced("mofmd_density 1", "mofmd_density 2")), "update mofmd"), true);
}

TEST(damage_is_told)
{
  EQUAL(contains(told(TEXT.substr(0, TEXT.size() - 8)), "ends before"), true);
  EQUAL(contains(told(replaced("1.0 1.0", "1.0 1,0")), "'1,0'"), true);
  EQUAL(contains(told(replaced("columns 2 0 2", "columns 2 0 3")), "column 3"), true);
  EQUAL(contains(told(replaced("limit 3.0", "limit 1.0")), "limits of C"), true);
  EQUAL(contains(told(replaced("element C", "element N")), "does not know"), true);
  EQUAL(contains(told(replaced("factors 2.0", "factors 0.0")), "a component of C"), true);
  EQUAL(contains(told("something else"), "'something'"), true);
}
