// sources: exchange/ghost_routes.cpp
#include "check.h"

#include "exchange/ghost_routes.h"

using mofmd::GhostRoutes;

namespace {

// What LAMMPS sends in a row of three ranks, from each to the next: `list` of the one becomes the
// ghosts from `first` on of the other. The last message hands on what came with the first.
struct Message {
  int from, to;
  std::vector<int> list;
  int first;
};
const std::vector<Message> MESSAGES = {{0, 1, {0, 1, 2}, 2}, {1, 2, {2, 3, 1}, 2}};
const std::vector<int> NUM_ATOMS = {3, 5, 5};    // owned: three, two, two

int length(const Message &message)
{
  return static_cast<int>(message.list.size());
}

// Ghosts 2 and 4 of the last rank are nodes of its graph: 0 of the first rank, 1 of the second.
std::vector<GhostRoutes> routes()
{
  std::vector<GhostRoutes> ranks(3);
  for (int rank = 0; rank < 3; ++rank) ranks[rank].clear(NUM_ATOMS[rank]);
  ranks[2].mark(2);
  ranks[2].mark(4);
  for (auto message = MESSAGES.rbegin(); message != MESSAGES.rend(); ++message) {
    std::vector<double> buffer(message->list.size(), -1.0);
    EQUAL(ranks[message->to].pack_marks(length(*message), message->first, buffer.data()),
          length(*message));
    ranks[message->from].unpack_marks(length(*message), message->list.data(), buffer.data());
  }
  return ranks;
}

}    // namespace

TEST(what_is_needed_is_sent_all_along_the_way)
{
  const std::vector<GhostRoutes> ranks = routes();
  EQUAL(ranks[0].sent(MESSAGES[0].list.data()) == std::vector<int>{0}, true);
  EQUAL((ranks[1].sent(MESSAGES[1].list.data()) == std::vector<int>{2, 1}), true);
}

TEST(both_sides_of_a_message_agree_on_its_rows)
{
  const std::vector<GhostRoutes> ranks = routes();
  std::vector<std::vector<double>> rows(3);
  for (int rank = 0; rank < 3; ++rank) rows[rank].assign(NUM_ATOMS[rank], 0.0);
  rows[0] = {10.0, 11.0, 12.0};
  rows[1][0] = 20.0;
  rows[1][1] = 21.0;
  for (const Message &message : MESSAGES) {
    std::vector<double> buffer;
    for (const int atom : ranks[message.from].sent(message.list.data()))
      buffer.push_back(rows[message.from][atom]);
    std::size_t next = 0;
    ranks[message.to].for_received(length(message), message.first,
                                   [&](int atom) { rows[message.to][atom] = buffer.at(next++); });
    EQUAL(next, buffer.size());
  }
  EQUAL(rows[2][2], 10.0);
  EQUAL(rows[2][4], 21.0);
  EQUAL(rows[2][3], 0.0);    // not needed there
}

TEST(all_are_the_atoms_that_are_marked)
{
  const std::vector<GhostRoutes> ranks = routes();
  std::vector<int> found;
  ranks[1].for_all([&](int atom) { found.push_back(atom); });
  EQUAL((found == std::vector<int>{1, 2}), true);
  EQUAL(ranks[1].is_marked(2), true);
  EQUAL(ranks[1].is_marked(4), false);
}

TEST(clearing_forgets_marks_and_messages)
{
  std::vector<GhostRoutes> ranks = routes();
  ranks[1].clear(5);
  EQUAL(ranks[1].is_marked(2), false);
  EQUAL(check::told<std::out_of_range>([&] { ranks[1].sent(MESSAGES[1].list.data()); }) ==
            "nothing thrown",
        false);
  const double none[3] = {0.0, 0.0, 0.0};    // a message of which nothing is needed is known, empty
  ranks[1].unpack_marks(3, MESSAGES[1].list.data(), none);
  EQUAL(ranks[1].sent(MESSAGES[1].list.data()).size(), 0u);
}
