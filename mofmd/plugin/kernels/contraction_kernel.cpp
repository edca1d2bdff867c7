// See contraction_kernel.h.

#include "kernels/contraction_kernel.h"

#include "base/model_error.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <string>

namespace mofmd {

namespace {

  // Channels that are worked on together: two vector registers.
  constexpr int vector_bytes = 64;
  template <typename T> struct VectorOf {
    typedef T type __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
  };
  template <typename T> using Vector = typename VectorOf<T>::type;
  template <typename T> constexpr std::int64_t lanes = vector_bytes / sizeof(T);
  constexpr std::int64_t atoms_per_task = 32;

#define MOFMD_INLINE [[gnu::always_inline]] inline

  template <typename T> struct Job {
    const Polynomials &polynomials;
    const ContractionAtoms &atoms;
    const std::vector<std::int64_t> &order;    // atoms, those of an element side by side
    const T *out_gradient, *x, *weights;
    T *result;    // out, or the gradient of x
  };

  // A vector of channels in a buffer of them.
  template <typename T> MOFMD_INLINE Vector<T> &vector_at(std::vector<T> &buffer, std::int64_t k)
  {
    return *reinterpret_cast<Vector<T> *>(buffer.data() + k * lanes<T>);
  }

  // What one thread works with: buffers of vectors of channels. What is past the last channel is
  // zero.
  template <typename T> struct Workspace {
    std::vector<T> values;                      // of the products
    std::vector<T> gradients;                   // with respect to them
    std::vector<T> weights;                     // of the terms, for one element
    std::vector<T> out;                         // or its gradient
    std::int64_t element = -1, channel = -1;    // of the weights

    explicit Workspace(const Polynomials &p) :
        values(p.num_values() * lanes<T>),
        gradients(p.num_values() * lanes<T>),
        weights(p.terms.size() * lanes<T>),
        out(p.width * lanes<T>)
    {
    }
  };

  // Rows (channels, n) of an atom from its first channel on to vectors of channels, and back.
  template <typename T>
  MOFMD_INLINE void load(const T *rows, std::int64_t count, std::int64_t n, std::vector<T> &vectors)
  {
    if (count < lanes<T>) std::fill_n(vectors.begin(), n * lanes<T>, T(0));
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t k = 0; k < n; ++k) vectors[k * lanes<T> + c] = rows[c * n + k];
  }
  template <typename T> MOFMD_INLINE void store(const std::vector<T> &vectors, std::int64_t count,
                                                std::int64_t n, T *rows)
  {
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t k = 0; k < n; ++k) rows[c * n + k] = vectors[k * lanes<T> + c];
  }

  template <typename T> MOFMD_INLINE void load_weights(const Job<T> &job, std::int64_t element,
                                                       std::int64_t channel, std::int64_t count,
                                                       Workspace<T> &space)
  {
    if (space.element == element && space.channel == channel) return;
    if (count < lanes<T>) std::fill(space.weights.begin(), space.weights.end(), T(0));
    const auto num_terms = static_cast<std::int64_t>(job.polynomials.terms.size());
    const T *row = job.weights + element * num_terms * job.atoms.channels + channel;
    for (std::int64_t t = 0; t < num_terms; ++t, row += job.atoms.channels)
      std::copy_n(row, count, space.weights.begin() + t * lanes<T>);
    space.element = element;
    space.channel = channel;
  }

  template <typename T> MOFMD_INLINE void find_values(const Polynomials &p, Workspace<T> &space)
  {
    std::int64_t k = p.num_components;
    for (const Polynomials::Product &product : p.products)
      vector_at(space.values, k++) =
          vector_at(space.values, product.first) * vector_at(space.values, product.last);
  }

  template <typename T> MOFMD_INLINE void forward(const Polynomials &p, Workspace<T> &space)
  {
    std::fill(space.out.begin(), space.out.end(), T(0));
    std::int64_t t = 0;
    for (const Polynomials::Term &term : p.terms)
      vector_at(space.out, term.out) +=
          vector_at(space.weights, t++) * vector_at(space.values, term.product);
  }

  // Leaves the derivative with respect to the components in the first of the gradients.
  template <typename T> MOFMD_INLINE void backward(const Polynomials &p, Workspace<T> &space)
  {
    std::fill(space.gradients.begin(), space.gradients.end(), T(0));
    std::int64_t t = 0;
    for (const Polynomials::Term &term : p.terms)
      vector_at(space.gradients, term.product) +=
          vector_at(space.weights, t++) * vector_at(space.out, term.out);
    for (std::int64_t k = p.num_values() - 1; k >= p.num_components; --k) {
      const Polynomials::Product &product = p.products[k - p.num_components];
      const Vector<T> gradient = vector_at(space.gradients, k);
      vector_at(space.gradients, product.first) += gradient * vector_at(space.values, product.last);
      vector_at(space.gradients, product.last) += gradient * vector_at(space.values, product.first);
    }
  }

  // Tasks are `atoms_per_task` atoms and a vector of channels; channels change slowly, so that the
  // weights of an element, which are far apart in memory, are read once for many atoms.
  template <typename T, bool is_forward>
  MOFMD_INLINE void do_tasks(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    const Polynomials &p = job.polynomials;
    const ContractionAtoms &atoms = job.atoms;
    const std::int64_t groups = (atoms.count + atoms_per_task - 1) / atoms_per_task;
    Workspace<T> space(p);
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t channel = task / groups * lanes<T>, first = task % groups * atoms_per_task;
      const std::int64_t count = std::min(lanes<T>, atoms.channels - channel);
      for (std::int64_t k = first; k < std::min(first + atoms_per_task, atoms.count); ++k) {
        const std::int64_t atom = job.order[k], row = atom * atoms.channels + channel;
        load_weights(job, atoms.elements[atom], channel, count, space);
        load(job.x + row * p.num_components, count, p.num_components, space.values);
        find_values<T>(p, space);
        if constexpr (is_forward) {
          forward<T>(p, space);
          store(space.out, count, p.width, job.result + row * p.width);
        } else {
          load(job.out_gradient + row * p.width, count, p.width, space.out);
          backward<T>(p, space);
          store(space.gradients, count, p.num_components, job.result + row * p.num_components);
        }
      }
    }
  }

#if defined(__x86_64__)
  template <typename T, bool is_forward> __attribute__((target("avx2,fma"))) void
  do_tasks_avx2(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    do_tasks<T, is_forward>(job, begin, end);
  }
#endif

  template <typename T, bool is_forward>
  void do_tasks_plain(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    do_tasks<T, is_forward>(job, begin, end);
  }

  template <typename T, bool is_forward>
  void do_all(const Polynomials &polynomials, const ContractionAtoms &atoms, const T *out_gradient,
              const T *x, const T *weights, T *result)
  {
    std::vector<std::int64_t> order(atoms.count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return atoms.elements[a] < atoms.elements[b];
    });
    const Job<T> job{polynomials, atoms, order, out_gradient, x, weights, result};
    auto *function = do_tasks_plain<T, is_forward>;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      function = do_tasks_avx2<T, is_forward>;
#endif
    const std::int64_t tasks = ((atoms.channels + lanes<T> - 1) /
                                lanes<T>)*((atoms.count + atoms_per_task - 1) / atoms_per_task);
    at::parallel_for(0, tasks, 1,
                     [&](std::int64_t begin, std::int64_t end) { function(job, begin, end); });
  }

  void require(bool holds, const char *what)
  {
    if (!holds) throw ModelError(std::string("mofmd::contract: ") + what);
  }

}    // namespace

Polynomials::Polynomials(std::int64_t num_components_, std::int64_t width_,
                         const std::int64_t *products_, std::int64_t num_products,
                         const std::int64_t *terms_, std::int64_t num_terms) :
    num_components(num_components_), width(width_)
{
  for (std::int64_t k = 0; k < num_products; ++k) {
    const Product product{products_[2 * k], products_[2 * k + 1]};
    require(product.first >= 0 && product.first < num_components + k && product.last >= 0 &&
                product.last < num_components,
            "a product is made of what does not come before it");
    products.push_back(product);
  }
  for (std::int64_t k = 0; k < num_terms; ++k) {
    const Term term{terms_[2 * k], terms_[2 * k + 1]};
    require(term.product >= 0 && term.product < num_values() && term.out >= 0 && term.out < width,
            "a term leads out of the tables");
    terms.push_back(term);
  }
}

template <typename T> void contract(const Polynomials &polynomials, const ContractionAtoms &atoms,
                                    const T *x, const T *weights, T *out)
{
  do_all<T, true>(polynomials, atoms, nullptr, x, weights, out);
}

template <typename T> void contract_backward(const Polynomials &polynomials,
                                             const ContractionAtoms &atoms, const T *out_gradient,
                                             const T *x, const T *weights, T *x_gradient)
{
  do_all<T, false>(polynomials, atoms, out_gradient, x, weights, x_gradient);
}

template void contract<float>(const Polynomials &, const ContractionAtoms &, const float *,
                              const float *, float *);
template void contract<double>(const Polynomials &, const ContractionAtoms &, const double *,
                               const double *, double *);
template void contract_backward<float>(const Polynomials &, const ContractionAtoms &, const float *,
                                       const float *, const float *, float *);
template void contract_backward<double>(const Polynomials &, const ContractionAtoms &,
                                        const double *, const double *, const double *, double *);

}    // namespace mofmd
