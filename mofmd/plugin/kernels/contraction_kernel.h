// MACE's symmetric contraction on a CPU: polynomials of the components of an atom's features, one
// for each element, channel and component of the result. Channels lie in the lanes of a vector.
// Free of torch's headers but for its threads.

#ifndef MOFMD_CONTRACTION_KERNEL_H
#define MOFMD_CONTRACTION_KERNEL_H

#include <cstdint>
#include <vector>

namespace mofmd {

// The products of components that occur, and what is made of them. The components themselves are
// the first products; each further one is an earlier product times a component.
struct Polynomials {
  struct Product {
    std::int64_t first, last;    // an earlier product, a component
  };
  struct Term {
    std::int64_t product, out;
  };
  std::int64_t num_components = 0, width = 0;    // of the features, of the result
  std::vector<Product> products;                 // behind the components
  std::vector<Term> terms;                       // with a coefficient each

  // Nothing of a file is trusted. Throws ModelError unless products are made of what comes before
  // them and terms lead into the result. `products` and `terms` are pairs.
  Polynomials(std::int64_t num_components, std::int64_t width, const std::int64_t *products,
              std::int64_t num_products, const std::int64_t *terms, std::int64_t num_terms);

  std::int64_t num_values() const
  {
    return num_components + static_cast<std::int64_t>(products.size());
  }
};

// Atoms with their elements, which are rows of the coefficients.
struct ContractionAtoms {
  std::int64_t count = 0, channels = 0;
  const std::int64_t *elements = nullptr;
};

// x (atoms, channels, components), weights (elements, terms, channels) -> out (atoms, channels, m)
template <typename T> void contract(const Polynomials &polynomials, const ContractionAtoms &atoms,
                                    const T *x, const T *weights, T *out);

// The derivative of a scalar with respect to x from that with respect to out.
template <typename T> void contract_backward(const Polynomials &polynomials,
                                             const ContractionAtoms &atoms, const T *out_gradient,
                                             const T *x, const T *weights, T *x_gradient);

}    // namespace mofmd

#endif
