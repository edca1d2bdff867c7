// sources: base/json_strings.cpp
#include "check.h"

#include "base/json_strings.h"

#include <stdexcept>

using mofmd::json_strings;

namespace {

std::string told(const std::string &text)
{
  return check::told<std::invalid_argument>([&text] { json_strings(text); });
}

}    // namespace

TEST(members_that_are_strings)
{
  auto found = json_strings(R"( { "r_max" : "6.0", "AOTI_DEVICE_KEY":"cpu" } )");
  EQUAL(found.size(), 2u);
  EQUAL(found["r_max"], "6.0");
  EQUAL(found["AOTI_DEVICE_KEY"], "cpu");
  EQUAL(json_strings("{}").size(), 0u);
}

TEST(what_is_nested_stays_inside)
{
  auto found = json_strings(R"({"a": {"r_max": "1.0", "b": {"r_max": "2.0"}}, "list": ["r_max",
      {"r_max": "3.0"}, ["r_max"], []], "n": -1.5e+3, "t": true, "f": false, "z": null,
      "r_max": "6.0", "last": {}})");
  EQUAL(found.size(), 1u);
  EQUAL(found["r_max"], "6.0");
}

TEST(text_inside_of_strings_is_text)
{
  auto found = json_strings(R"({"a": "\"r_max\": \"1.0\", }{", "r_max": "6.0"})");
  EQUAL(found.size(), 2u);
  EQUAL(found["a"], R"("r_max": "1.0", }{)");
  EQUAL(found["r_max"], "6.0");
}

TEST(escapes)
{
  auto found = json_strings(R"({"s": "\" \\ \/ \b\f\n\r\t", "u": "\u00c5 \u20AC \ud83d\ude00 A"})");
  EQUAL(found["s"], "\" \\ / \b\f\n\r\t");
  EQUAL(found["u"], "\xc3\x85 \xe2\x82\xac \xf0\x9f\x98\x80 A");
  EQUAL(json_strings("{\"\\u0041\": \"\\u0000\"}")["A"], std::string(1, '\0'));
}

TEST(of_a_name_that_occurs_twice_the_last)
{
  EQUAL(json_strings(R"({"a": "1", "a": "2"})")["a"], "2");
  EQUAL(json_strings(R"({"a": "1", "a": 2})").count("a"), 0u);
}

TEST(text_that_is_no_object)
{
  EQUAL(told(""), "expected '{' at byte 0");
  EQUAL(told(R"("r_max")"), "expected '{' at byte 0");
  EQUAL(told("[]"), "expected '{' at byte 0");
  EQUAL(told(R"({"a": "1")"), "expected '}' at byte 9");
  EQUAL(told(R"({"a": "1"} {})"), "expected nothing more at byte 11");
  EQUAL(told(R"({"a" "1"})"), "expected ':' at byte 5");
  EQUAL(told(R"({"a": "1" "b": "2"})"), "expected '}' at byte 10");
  EQUAL(told(R"({"a": "1",})"), "expected '\"' at byte 10");
  EQUAL(told(R"({a: "1"})"), "expected '\"' at byte 1");
  EQUAL(told(R"({"a": })"), "expected a value at byte 6");
  EQUAL(told(R"({"a": 01})"), "expected '}' at byte 7");
  EQUAL(told(R"({"a": 1.})"), "expected a value at byte 8");
  EQUAL(told(R"({"a": nul})"), "expected null at byte 6");
  EQUAL(told(R"({"a": [1})"), "expected ']' at byte 8");
  EQUAL(told(R"({"a": "1)"), "expected the end of a string at byte 8");
  EQUAL(told("{\"a\": \"\n\"}"), "expected no control character in a string at byte 7");
  EQUAL(told(R"({"a": "\x"})"), "expected an escaped character at byte 8");
  EQUAL(told(R"({"a": "\u12g4"})"), "expected four hexadecimal digits at byte 11");
  EQUAL(told(R"({"a": "\ud83d"})"), "expected a pair of surrogates at byte 13");
  EQUAL(told(R"({"a": "\ude00"})"), "expected a pair of surrogates at byte 13");
  EQUAL(told(std::string(R"({"a": "\)", 8)), "expected an escaped character at byte 8");
}

TEST(every_beginning_of_a_text_is_refused)
{
  const std::string whole = R"({"a": {"b": [1.5e3, true, "\u00c5\n"]}, "c": "d"})";
  EQUAL(json_strings(whole).size(), 1u);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EQUAL(told(whole.substr(0, length)) == "nothing thrown", false);
}

TEST(depth_has_an_end)
{
  EQUAL(told(R"({"a": )" + std::string(1000000, '[')).substr(0, 29),
        "expected less than 100 levels");
}
