#include "kernels/convolution_shape.h"

#include "base/model_error.h"

#include <algorithm>
#include <string>

namespace mofmd {

namespace {

  void require(bool holds, const std::string &what)
  {
    if (!holds) throw ModelError("mofmd::convolve: " + what);
  }

  // Columns [offset, offset + channels * dimension) of a table of `width` columns. Numbers of a
  // damaged file may be so large that their sum or product is no number any more.
  void check_within(std::int64_t offset, std::int64_t channels, std::int64_t dimension,
                    std::int64_t width)
  {
    require(offset >= 0 && channels > 0 && dimension > 0, "a path has no size");
    require(offset <= width && dimension <= width - offset &&
                channels <= (width - offset) / dimension,
            "a path leads out of the tables");
  }

  // Columns of a table that a path uses.
  struct Block {
    std::int64_t offset, channels, dimension;
  };

  // Any two blocks are the same one, where `may_be_shared`, or have no column in common.
  void check_apart(std::vector<Block> blocks, const std::string &table, bool may_be_shared)
  {
    std::sort(blocks.begin(), blocks.end(),
              [](const Block &a, const Block &b) { return a.offset < b.offset; });
    for (std::size_t k = 1; k < blocks.size(); ++k) {
      const Block &before = blocks[k - 1], &block = blocks[k];
      if (block.offset >= before.offset + before.channels * before.dimension) continue;
      require(may_be_shared && block.offset == before.offset && block.channels == before.channels &&
                  block.dimension == before.dimension,
              "two paths use parts of " + table + " that overlap");
    }
  }

}    // namespace

ConvolutionShape::ConvolutionShape(const std::int64_t *fields, std::size_t num_fields,
                                   std::int64_t x_width_, std::int64_t y_width_,
                                   std::int64_t w_width_, std::int64_t out_width_,
                                   std::int64_t num_couplings) :
    x_width(x_width_), y_width(y_width_), w_width(w_width_), out_width(out_width_)
{
  constexpr std::size_t n = ConvolutionPath::num_fields;
  require(num_fields % n == 0, "paths have " + std::to_string(n) + " numbers each");
  require(std::min({x_width, y_width, w_width, out_width}) >= 0, "a table has no width");
  std::vector<Block> of_x, of_y, of_w, of_out;
  std::int64_t couplings_left = num_couplings;
  for (const std::int64_t *f = fields; f != fields + num_fields; f += n) {
    const ConvolutionPath p{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]};
    check_within(p.x, p.channels, p.d1, x_width);
    check_within(p.y, 1, p.d2, y_width);
    check_within(p.out, p.channels, p.d3, out_width);
    check_within(p.w, p.channels, 1, w_width);
    of_x.push_back({p.x, p.channels, p.d1});
    of_y.push_back({p.y, 1, p.d2});
    of_out.push_back({p.out, p.channels, p.d3});
    of_w.push_back({p.w, p.channels, 1});
    require(p.d1 <= couplings_left && p.d2 <= couplings_left / p.d1 &&
                p.d3 <= couplings_left / p.d1 / p.d2,
            "wrong number of couplings");
    couplings_left -= p.d1 * p.d2 * p.d3;
    paths.push_back(p);
  }
  require(couplings_left == 0, "wrong number of couplings");
  check_apart(of_x, "x", /*may_be_shared=*/true);
  check_apart(of_y, "y", /*may_be_shared=*/true);
  check_apart(of_out, "out", /*may_be_shared=*/true);
  check_apart(of_w, "w", /*may_be_shared=*/false);    // dE/dw of a path is written, not added
}

bool ConvolutionShape::uses_all_weights() const
{
  std::int64_t number = 0;
  for (const ConvolutionPath &path : paths) number += path.channels;
  return number >= w_width;
}

std::int64_t ConvolutionShape::most_channels() const
{
  std::int64_t channels = 1;
  for (const ConvolutionPath &path : paths) channels = std::max(channels, path.channels);
  return channels;
}

}    // namespace mofmd
