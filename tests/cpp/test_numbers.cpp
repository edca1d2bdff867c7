// sources: none
#include "check.h"

#include "base/numbers.h"

#include <clocale>
#include <cmath>
#include <limits>

using mofmd::read_number;

TEST(a_number_is_all_of_the_text)
{
  EQUAL(read_number<double>("6.0").value_or(-1), 6.0);
  EQUAL(read_number<double>(" 5e-1\n").value_or(-1), 0.5);
  EQUAL(read_number<int>("64").value_or(-1), 64);
  for (const char *const text : {"6.0garbage", "6,0", "", " ", "6.0 6.0", "0x10", "+6", "six"})
    EQUAL(read_number<double>(text).has_value(), false);
  for (const char *const text : {"64x", "6.0", "1e3", "99999999999", "-99999999999", ""})
    EQUAL(read_number<int>(text).has_value(), false);
  EQUAL(read_number<double>("1e999").has_value(), false);
}

TEST(the_locale_has_no_part)
{
  // a locale of its own where the system has none: the environment of LOCPATH names it
  const bool comma = std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr;
  EQUAL(comma, true);
  EQUAL(std::localeconv()->decimal_point, std::string(","));
  EQUAL(read_number<double>("6.5").value_or(-1), 6.5);
  EQUAL(read_number<double>("6,5").has_value(), false);
  EQUAL(mofmd::to_text(6.5), "6.5");
}

TEST(a_number_as_text_is_the_same_number)
{
  for (const double number : {0.1, -1.0 / 3.0, 1e300, 5e-324, 0.0, 3.0, M_PI})
    EQUAL(read_number<double>(mofmd::to_text(number)).value_or(NAN), number);
  EQUAL(mofmd::to_text(0.1), "0.1");
}

TEST(counts_of_the_environment)
{
  const auto count = [](const char *value, int least) {
    setenv("MOFMD_TEST_COUNT", value, 1);
    return mofmd::count_in_environment("MOFMD_TEST_COUNT", least).value_or(-1);
  };
  EQUAL(count("4", 1), 4);
  EQUAL(count(" 4 ", 1), 4);
  EQUAL(count("4,2", 1), 4);    // a number for each level of threads
  EQUAL(count("0", 0), 0);
  EQUAL(count("", 1), -1);
  unsetenv("MOFMD_TEST_COUNT");
  EQUAL(mofmd::count_in_environment("MOFMD_TEST_COUNT", 1).has_value(), false);
  for (const char *const value : {"four", "4x", "0", "-1", "4.0", "99999999999", ",4"})
    EQUAL(check::told<std::invalid_argument>([&] { count(value, 1); }),
          "the environment variable MOFMD_TEST_COUNT is '" + std::string(value) +
              "', expected a whole number of at least 1");
}
