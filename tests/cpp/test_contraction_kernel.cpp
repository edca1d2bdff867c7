// sources: kernels/contraction_kernel.cpp
// sanitizer: thread
#include "check.h"

#include "base/model_error.h"
#include "kernels/contraction_kernel.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

using Table = std::vector<double>;

// Two components a, b; products a², ab, a²b; two results.
struct Case {
  static constexpr std::int64_t num_atoms = 70, channels = 21, components = 2, width = 2;
  std::vector<std::int64_t> products{0, 0, 0, 1, 2, 1};
  std::vector<std::int64_t> terms{0, 0, 1, 1, 2, 1, 3, 0, 4, 0, 4, 1};
  mofmd::Polynomials polynomials{components, width, products.data(), 3, terms.data(), 6};
  std::vector<std::int64_t> elements;
  Table x, weights, upstream;

  Case()
  {
    std::mt19937_64 generator(1);
    std::normal_distribution<double> normal;
    const auto fill = [&](Table &table, std::int64_t size) {
      for (std::int64_t k = 0; k < size; ++k) table.push_back(normal(generator));
    };
    fill(x, num_atoms * channels * components);
    fill(weights, 3 * 6 * channels);
    fill(upstream, num_atoms * channels * width);
    std::uniform_int_distribution<std::int64_t> element(0, 2);
    for (std::int64_t k = 0; k < num_atoms; ++k) elements.push_back(element(generator));
  }

  mofmd::ContractionAtoms atoms() const { return {num_atoms, channels, elements.data()}; }
};

void values_and_derivatives(int threads)
{
  at::number_of_threads = threads;
  const Case c;
  Table out(c.upstream.size()), of_x(c.x.size());
  contract(c.polynomials, c.atoms(), c.x.data(), c.weights.data(), out.data());
  contract_backward(c.polynomials, c.atoms(), c.upstream.data(), c.x.data(), c.weights.data(),
                    of_x.data());
  double largest = 0.0;
  for (std::int64_t atom = 0; atom < Case::num_atoms; ++atom)
    for (std::int64_t u = 0; u < Case::channels; ++u) {
      const auto w = [&](std::int64_t t) {
        return c.weights[(c.elements[atom] * 6 + t) * Case::channels + u];
      };
      const std::int64_t row = 2 * (atom * Case::channels + u);
      const double a = c.x[row], b = c.x[row + 1];
      const double g0 = c.upstream[row], g1 = c.upstream[row + 1];
      const double found[]{out[row], out[row + 1], of_x[row], of_x[row + 1]};
      const double expected[]{
          w(0) * a + w(3) * a * b + w(4) * a * a * b, w(1) * b + w(2) * a * a + w(5) * a * a * b,
          g0 * (w(0) + w(3) * b + w(4) * 2 * a * b) + g1 * (w(2) * 2 * a + w(5) * 2 * a * b),
          g0 * (w(3) * a + w(4) * a * a) + g1 * (w(1) + w(5) * a * a)};
      for (int k = 0; k < 4; ++k) largest = std::max(largest, std::abs(found[k] - expected[k]));
    }
  EQUAL(largest < 1e-12, true);
}

std::string told_of(std::vector<std::int64_t> products, std::vector<std::int64_t> terms)
{
  return check::told<mofmd::ModelError>([&] {
    mofmd::Polynomials(2, 2, products.data(), static_cast<std::int64_t>(products.size()) / 2,
                       terms.data(), static_cast<std::int64_t>(terms.size()) / 2);
  });
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

TEST(tables_that_lead_outside)
{
  const std::string product = "mofmd::contract: a product is made of what does not come before it";
  const std::string term = "mofmd::contract: a term leads out of the tables";
  EQUAL(told_of({0, 0}, {2, 1}), "nothing thrown");
  EQUAL(told_of({2, 0}, {}), product);
  EQUAL(told_of({-1, 0}, {}), product);
  EQUAL(told_of({0, 2}, {}), product);
  EQUAL(told_of({0, 0}, {3, 0}), term);
  EQUAL(told_of({0, 0}, {0, 2}), term);
  EQUAL(told_of({0, 0}, {-1, 0}), term);
}
