#include "exchange/ghost_routes.h"

#include <algorithm>

namespace mofmd {

void GhostRoutes::clear(int num_atoms)
{
  is_marked_.assign(num_atoms, 0);
  sent_.clear();
}

int GhostRoutes::pack_marks(int n, int first, double *buf) const
{
  std::copy_n(is_marked_.begin() + first, n, buf);
  return n;
}

void GhostRoutes::unpack_marks(int n, const int *list, const double *buf)
{
  std::vector<int> &sent = sent_[list];
  for (int k = 0; k < n; ++k) {
    if (buf[k] == 0.0) continue;
    is_marked_[list[k]] = 1;
    sent.push_back(list[k]);
  }
}

}    // namespace mofmd
