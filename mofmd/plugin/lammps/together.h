// What the ranks of a partition do together.

#ifndef MOFMD_TOGETHER_H
#define MOFMD_TOGETHER_H

#include <mpi.h>
#include <string>

namespace mofmd {

// A failure that some ranks may see and others not (a file that one node cannot read): all ranks
// learn of it. Returns the message of the first rank that has one. Collective.
inline std::string first_message(MPI_Comm world, const std::string &message)
{
  int me, ranks;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  const int mine = message.empty() ? ranks : me;
  int first = ranks;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == ranks) return "";
  int length = static_cast<int>(message.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  std::string text = me == first ? message : std::string(length, ' ');
  MPI_Bcast(&text[0], length, MPI_CHAR, first, world);
  return text;
}

}    // namespace mofmd

#endif
