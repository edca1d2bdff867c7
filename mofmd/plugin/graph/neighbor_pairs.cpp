#include "graph/neighbor_pairs.h"

#include <torch/library.h>

#include <cmath>
#include <vector>

namespace mofmd {

namespace {

  // Centres taken at a time: about 500 points of a molecular system are looked at for each of them.
  constexpr std::int64_t CENTRES_AT_ONCE = 16384;
  constexpr std::int64_t CELLS_PER_CUTOFF = 2;
  constexpr double MOST_CELLS_ALONG = 1 << 20;    // a cell's number fits into 60 bits

  // Points sorted into cubic cells. Cells with the same x and y are numbered in a row along z, so
  // that the neighbourhood of a cell is a few ranges of sorted points:
  //
  //     y ^  [ z-2 ... z+2 ]  [ z-2 ... z+2 ]  ...       one range for each (x, y)
  //
  // Numbers are looked up by bisection, not in a table: empty space costs nothing.
  class Cells {
  public:
    Cells(const torch::Tensor &points, double cutoff)
    {
      const torch::Tensor origin = points.amin(0);
      const torch::Tensor extent = points.amax(0) - origin;
      const double width = std::max(cutoff / CELLS_PER_CUTOFF,
                                    extent.max().item<double>() / (MOST_CELLS_ALONG - 1.0));
      reach_ = static_cast<std::int64_t>(std::ceil(cutoff / width));
      place_ = ((points - origin) / width).floor().to(torch::kLong);
      size_ = place_.amax(0) + 1;
      std::tie(sorted_, order_) = number(place_.unbind(1)).sort(/*stable=*/true, 0, false);
    }

    // Points around the centres [first, last): (centre, point), the centre itself among them.
    std::pair<torch::Tensor, torch::Tensor> around(std::int64_t first, std::int64_t last) const
    {
      const std::vector<torch::Tensor> steps = columns();
      const torch::Tensor place = place_.slice(0, first, last);
      const std::vector<torch::Tensor> axis = place.unbind(1);
      const torch::Tensor x = axis[0].unsqueeze(1) + steps[0], y = axis[1].unsqueeze(1) + steps[1];
      const torch::Tensor low = (axis[2] - reach_).clamp_min(0).unsqueeze(1);
      const torch::Tensor high = torch::minimum(axis[2] + reach_, size_[2] - 1).unsqueeze(1);
      const torch::Tensor exists = (x >= 0) & (x < size_[0]) & (y >= 0) & (y < size_[1]);
      const torch::Tensor begin = torch::searchsorted(sorted_, number({x, y, low}).contiguous());
      const torch::Tensor end = torch::searchsorted(sorted_, number({x, y, high}).contiguous(),
                                                    /*out_int32=*/false, /*right=*/true);
      const torch::Tensor counts = ((end - begin) * exists).flatten();
      const torch::Tensor ends = counts.cumsum(0);
      const torch::Tensor range = torch::repeat_interleave(counts);
      const torch::Tensor within =
          torch::arange(range.size(0), counts.options()) - (ends - counts).index_select(0, range);
      const torch::Tensor point =
          order_.index_select(0, begin.flatten().index_select(0, range) + within);
      const std::int64_t num_columns = steps[0].size(0);
      return {range.div(num_columns, "floor") + first, point};
    }

  private:
    std::int64_t reach_ = 0;
    torch::Tensor place_;     // (n, 3) cell of a point along each axis
    torch::Tensor size_;      // (3) cells along each axis
    torch::Tensor sorted_;    // (n) numbers of cells, ascending
    torch::Tensor order_;     // (n) point of each

    torch::Tensor number(const std::vector<torch::Tensor> &xyz) const
    {
      return (xyz[0] * size_[1] + xyz[1]) * size_[2] + xyz[2];
    }

    // Steps along x and y to the columns of cells within reach: two tensors (columns).
    std::vector<torch::Tensor> columns() const
    {
      const torch::Tensor steps = torch::arange(-reach_, reach_ + 1, place_.options());
      const std::int64_t n = steps.size(0);
      return {steps.repeat_interleave(n), steps.repeat({n})};
    }
  };

}    // namespace

std::pair<torch::Tensor, torch::Tensor> neighbor_pairs(const torch::Tensor &points,
                                                       std::int64_t num_centres, double cutoff)
{
  const torch::NoGradGuard no_autograd;
  const auto integer = points.options().dtype(torch::kLong);
  std::vector<torch::Tensor> centres{torch::empty({0}, integer)};
  std::vector<torch::Tensor> neighbors{torch::empty({0}, integer)};
  if (num_centres > 0 && cutoff > 0.0) {
    const Cells cells(points, cutoff);
    for (std::int64_t first = 0; first < num_centres; first += CENTRES_AT_ONCE) {
      const std::int64_t last = std::min(first + CENTRES_AT_ONCE, num_centres);
      const auto [centre, neighbor] = cells.around(first, last);
      const torch::Tensor r = points.index_select(0, neighbor) - points.index_select(0, centre);
      const torch::Tensor is_pair = ((r * r).sum(1) < cutoff * cutoff) & (centre != neighbor);
      const torch::Tensor kept = is_pair.nonzero().squeeze(1);
      centres.push_back(centre.index_select(0, kept));
      neighbors.push_back(neighbor.index_select(0, kept));
    }
  }
  return {torch::cat(centres), torch::cat(neighbors)};
}

}    // namespace mofmd

// For tests: the list against a search through all pairs.
TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  library.def("neighbor_pairs(Tensor points, int num_centres, float cutoff) -> (Tensor, Tensor)",
              [](const torch::Tensor &points, std::int64_t num_centres, double cutoff) {
                const auto [centres, neighbors] =
                    mofmd::neighbor_pairs(points, num_centres, cutoff);
                return std::make_tuple(centres, neighbors);
              });
}
