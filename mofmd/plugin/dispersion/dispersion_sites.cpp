#include "dispersion/dispersion_sites.h"

#include <algorithm>
#include <cmath>

namespace mofmd {

namespace {

  constexpr double PI = 3.14159265358979323846;
  constexpr double FAR_AWAY = 1e10;    // Å

  // The width of columns for which the fewest sites are looked at: wide ones reach beyond the
  // sphere, in narrow ones the runs end in the middle of a vector. `density` [1/Å3].
  double best_side(double density, double reach, int lanes)
  {
    double best = reach, least = HUGE_VAL;
    for (double side = 0.05 * reach; side < 2.0 * reach; side *= 1.1) {
      const double volume = (2.0 * side * side + 2.0 * PI * side * reach) * reach +
                            4.0 / 3.0 * PI * reach * reach * reach;
      const double sites_of_run = density * side * side * 4.0 / 3.0 * reach;
      const double looked_at = volume * (1.0 + 0.5 * (lanes - 1) / sites_of_run);
      if (looked_at < least) {
        least = looked_at;
        best = side;
      }
    }
    return best;
  }

}    // namespace

void DispersionSites::add_site(const double *position)
{
  x.push_back(position[0]);
  y.push_back(position[1]);
  z.push_back(position[2]);
}

DispersionSites::Columns DispersionSites::sort_into_columns(const AtomArrays &atoms_of_rank,
                                                            const std::vector<int> &members,
                                                            int kind, double reach, int lanes)
{
  const double *const *const position = atoms_of_rank.x;
  double low[3] = {HUGE_VAL, HUGE_VAL, HUGE_VAL}, high[3] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  for (const int i : members)
    for (int d = 0; d < 3; ++d) {
      low[d] = std::min(low[d], position[i][d]);
      high[d] = std::max(high[d], position[i][d]);
    }
  Columns columns{{low[0], low[1]}, reach, {1, 1}, {}, {}};
  if (!members.empty()) {
    constexpr double thinnest = 1.0;    // Å
    double volume = 1.0;
    for (int d = 0; d < 3; ++d) volume *= std::max(thinnest, high[d] - low[d]);
    columns.side = best_side(static_cast<double>(members.size()) / volume, reach, lanes);
    for (int d = 0; d < 2; ++d)
      columns.number[d] = 1 + static_cast<int>((high[d] - low[d]) / columns.side);
  }
  const int count = columns.number[0] * columns.number[1];
  std::vector<std::vector<int>> sorted(count);
  for (const int i : members) {
    int at[2];
    for (int d = 0; d < 2; ++d)
      at[d] = static_cast<int>((position[i][d] - columns.origin[d]) / columns.side);
    sorted[at[0] * columns.number[1] + at[1]].push_back(i);
  }

  const double far_away[3] = {FAR_AWAY, FAR_AWAY, FAR_AWAY};
  for (std::vector<int> &column : sorted) {
    std::sort(column.begin(), column.end(), [position](int a, int b) {
      return position[a][2] != position[b][2] ? position[a][2] < position[b][2] : a < b;
    });
    columns.begin.push_back(static_cast<int>(x.size()));
    for (const int i : column) {
      const auto site = static_cast<int>(x.size());
      sites.push_back(site);
      atoms.push_back(i);
      if (i < atoms_of_rank.num_local) {
        centre_site.push_back(site);
        centre_kind.push_back(kind);
        centre_atom.push_back(i);
      }
      add_site(position[i]);
    }
    columns.end.push_back(static_cast<int>(x.size()));
    for (int k = 1; k < MOST_LANES; ++k) add_site(far_away);    // a run is read beyond its end
  }
  while (x.size() % MOST_LANES != 0) add_site(far_away);
  return columns;
}

void DispersionSites::rebuild(const AtomArrays &atoms_of_rank, const std::vector<int> &kind_of_type,
                              int num_kinds, double reach, double bonded_reach, int lanes)
{
  std::vector<std::vector<int>> members(num_kinds);
  for (int i = 0; i < atoms_of_rank.num_all; ++i) {
    const int kind = kind_of_type[atoms_of_rank.type[i]];
    if (kind >= 0) members[kind].push_back(i);
  }
  for (auto *const of_sites : {&x, &y, &z}) of_sites->clear();
  for (auto *const of_sites : {&sites, &atoms, &centre_site, &centre_kind, &centre_atom})
    of_sites->clear();
  columns_.clear();
  kind_begin.assign(1, 0);
  for (int kind = 0; kind < num_kinds; ++kind) {
    columns_.push_back(sort_into_columns(atoms_of_rank, members[kind], kind, reach, lanes));
    kind_begin.push_back(static_cast<int>(x.size()));
  }
  find_near(reach, near_);
  find_near(bonded_reach, bonded_);
}

void DispersionSites::find_near(double reach, Lists &lists) const
{
  lists.first.assign(1, 0);
  lists.ranges.clear();
  for (const int site : centre_site) {
    const double position[3] = {x[site], y[site], z[site]};
    for (const Columns &columns : columns_) {
      int low[2], high[2];
      for (int d = 0; d < 2; ++d) {
        const double at = position[d] - columns.origin[d];
        low[d] = std::max(0, static_cast<int>(std::floor((at - reach) / columns.side)));
        high[d] = std::min(columns.number[d] - 1,
                           static_cast<int>(std::floor((at + reach) / columns.side)));
      }
      for (int a = low[0]; a <= high[0]; ++a)
        for (int b = low[1]; b <= high[1]; ++b) {
          const int place[2] = {a, b};
          double left = reach * reach;
          for (int d = 0; d < 2; ++d) {
            const double begin = columns.origin[d] + place[d] * columns.side - position[d];
            const double gap = std::max({0.0, begin, -begin - columns.side});
            left -= gap * gap;
          }
          if (left < 0.0) continue;
          const double height = std::sqrt(left);
          const int column = a * columns.number[1] + b;
          const auto begin = z.begin() + columns.begin[column];
          const auto end = z.begin() + columns.end[column];
          const auto first = std::lower_bound(begin, end, position[2] - height);
          const auto past = std::upper_bound(first, end, position[2] + height);
          if (first != past)
            lists.ranges.push_back(
                {static_cast<int>(first - z.begin()), static_cast<int>(past - z.begin())});
        }
      lists.first.push_back(static_cast<long long>(lists.ranges.size()));
    }
  }
}

void DispersionSites::move(const double *const *position)
{
  for (std::size_t k = 0; k < sites.size(); ++k) {
    const double *const p = position[atoms[k]];
    x[sites[k]] = p[0];
    y[sites[k]] = p[1];
    z[sites[k]] = p[2];
  }
}

double DispersionSites::memory() const
{
  return static_cast<double>(
      3 * x.capacity() * sizeof(double) + 2 * sites.capacity() * sizeof(int) +
      (near_.first.capacity() + bonded_.first.capacity()) * sizeof(long long) +
      (near_.ranges.capacity() + bonded_.ranges.capacity()) * sizeof(SiteRange));
}

}    // namespace mofmd
