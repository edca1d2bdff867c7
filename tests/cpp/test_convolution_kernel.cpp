// sources: kernels/convolution_kernel.cpp kernels/convolution_shape.cpp
// sanitizer: thread
#include "check.h"

#include "kernels/convolution_kernel.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

using Table = std::vector<double>;

// Tables of random numbers, a graph in no order whose last node has no edges.
struct Case {
  static constexpr std::int64_t channels = 5, nodes = 60, edges = 300;
  std::vector<std::int64_t> fields{
      0,        1, 0, 1, 0,        1, 0,
      channels,    //
      0,        1, 1, 3, channels, 3, channels,
      channels,    //
      channels, 3, 1, 3, channels, 3, 2 * channels,
      channels    // the same part of out
  };
  mofmd::ConvolutionShape shape{fields.data(), fields.size(), 4 * channels, 4,
                                3 * channels,  4 * channels,  1 + 9 + 27};
  Table couplings, x, y, w, upstream;
  std::vector<std::int64_t> centres, neighbours;

  Case()
  {
    std::mt19937_64 generator(1);
    std::normal_distribution<double> normal;
    const auto fill = [&](Table &table, std::int64_t size) {
      for (std::int64_t k = 0; k < size; ++k) table.push_back(normal(generator));
    };
    fill(couplings, 1 + 9 + 27);
    for (std::size_t k = 0; k < couplings.size(); k += 3) couplings[k] = 0.0;
    fill(x, nodes * shape.x_width);
    fill(y, edges * shape.y_width);
    fill(w, edges * shape.w_width);
    fill(upstream, nodes * shape.out_width);
    std::uniform_int_distribution<std::int64_t> end(0, nodes - 2);
    for (std::int64_t e = 0; e < edges; ++e) {
      centres.push_back(end(generator));
      neighbours.push_back(end(generator));
    }
  }

  mofmd::ConvolutionGraph graph() const
  {
    return {nodes, edges, centres.data(), neighbours.data()};
  }

  // Calls term(C, index into x, y, w and out) for every term of the sum.
  template <typename Term> void for_terms(Term term) const
  {
    for (std::int64_t e = 0; e < edges; ++e) {
      const double *c = couplings.data();
      for (const mofmd::ConvolutionPath &p : shape.paths)
        for (std::int64_t m1 = 0; m1 < p.d1; ++m1)
          for (std::int64_t m2 = 0; m2 < p.d2; ++m2)
            for (std::int64_t m3 = 0; m3 < p.d3; ++m3, ++c)
              for (std::int64_t u = 0; u < p.channels; ++u)
                term(*c, neighbours[e] * shape.x_width + p.x + u * p.d1 + m1,
                     e * shape.y_width + p.y + m2, e * shape.w_width + p.w + u,
                     centres[e] * shape.out_width + p.out + u * p.d3 + m3);
    }
  }
};

double largest_difference(const Table &a, const Table &b)
{
  double largest = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) largest = std::max(largest, std::abs(a[k] - b[k]));
  return a.size() == b.size() ? largest : INFINITY;
}

void values_and_derivatives(int threads)
{
  at::number_of_threads = threads;
  const Case c;
  Table out(c.upstream.size()), of_x(c.x.size()), of_y(c.y.size()), of_w(c.w.size());
  convolve(c.shape, c.couplings.data(), c.graph(), c.x.data(), c.y.data(), c.w.data(), out.data());
  convolve_backward(c.shape, c.couplings.data(), c.graph(), c.upstream.data(), c.x.data(),
                    c.y.data(), c.w.data(), of_x.data(), of_y.data(), of_w.data());
  Table out0(out.size()), of_x0(of_x.size()), of_y0(of_y.size()), of_w0(of_w.size());
  c.for_terms([&](double coupling, std::int64_t x, std::int64_t y, std::int64_t w, std::int64_t o) {
    out0[o] += coupling * c.x[x] * c.y[y] * c.w[w];
    of_x0[x] += coupling * c.y[y] * c.w[w] * c.upstream[o];
    of_y0[y] += coupling * c.x[x] * c.w[w] * c.upstream[o];
    of_w0[w] += coupling * c.x[x] * c.y[y] * c.upstream[o];
  });
  EQUAL(largest_difference(out, out0) < 1e-11, true);
  EQUAL(largest_difference(of_x, of_x0) < 1e-11, true);
  EQUAL(largest_difference(of_y, of_y0) < 1e-11, true);
  EQUAL(largest_difference(of_w, of_w0) < 1e-11, true);
}

}    // namespace

TEST(one_thread)
{
  values_and_derivatives(1);
}

TEST(threads_that_share_the_work)
{
  values_and_derivatives(4);
}
