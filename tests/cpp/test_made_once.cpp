// sources: none
// sanitizer: thread
#include "check.h"

#include "base/made_once.h"

#include <string>
#include <thread>
#include <vector>

TEST(many_threads_make_each_value_once)
{
  mofmd::MadeOnce<int, std::string> values;
  int made = 0;    // counted without a lock of the test's: by one thread at a time
  std::vector<const std::string *> first(8, nullptr);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&values, &made, &first, t] {
      for (int round = 0; round < 200; ++round)
        for (int key = 0; key < 10; ++key) {
          const std::string &value = values.get(key, [&made, key] {
            ++made;
            return std::to_string(key);
          });
          if (key == 3) first[t] = &value;
        }
    });
  for (std::thread &thread : threads) thread.join();
  EQUAL(made, 10);
  EQUAL(values.get(3, [] { return std::string("again"); }), "3");
  for (const std::string *const value : first) EQUAL(value, first[0]);    // it stays where it is
}

TEST(what_cannot_be_made_is_tried_again)
{
  mofmd::MadeOnce<int, int> values;
  const auto fail = [&] { values.get(1, []() -> int { throw std::runtime_error("not now"); }); };
  EQUAL(check::told<std::runtime_error>(fail), "not now");
  EQUAL(values.get(1, [] { return 5; }), 5);
}
