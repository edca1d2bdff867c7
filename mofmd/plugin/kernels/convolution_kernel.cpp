// See convolution_kernel.h.

#include "kernels/convolution_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>

namespace mofmd {

namespace {

  constexpr std::int64_t rows_per_task = 8;

  // A vector register of channels; a buffer of T is read and written through a pointer to it.
  constexpr int vector_bytes = 32;
  template <typename T> struct VectorOf {
    typedef T type __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
  };
  template <typename T> using Vector = typename VectorOf<T>::type;
  template <typename T> constexpr std::int64_t lanes = vector_bytes / sizeof(T);
  constexpr int most_vectors = 4;    // of channels that are worked on together

  template <typename T> std::int64_t round_up(std::int64_t channels)
  {
    return (channels + lanes<T> - 1) / lanes<T> * lanes<T>;
  }

  // ---- what is the same for all edges
  // --------------------------------------------------------------

  // Rows of a table with the channels of a component side by side, filled up with zeros to whole
  // vectors: of an irrep at `offset` with (channels, dimension), (dimension, padded channels).
  template <typename T> class Packing {
  public:
    std::int64_t place(const std::int64_t offset, std::int64_t dimension, std::int64_t channels)
    {
      const auto [found, is_new] = blocks_.insert({offset, {dimension, channels, width}});
      if (is_new) width += dimension * round_up<T>(channels);
      return found->second.packed;
    }

    std::vector<T> pack(const T *table, std::int64_t rows, std::int64_t row_width) const
    {
      std::vector<T> packed(rows * width);
      at::parallel_for(0, rows, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row)
          for_each([&](std::int64_t plain, std::int64_t at) {
            packed[row * width + at] = table[row * row_width + plain];
          });
      });
      return packed;
    }

    void unpack_row(const T *packed, T *row) const
    {
      for_each([&](std::int64_t plain, std::int64_t at) { row[plain] = packed[at]; });
    }

    std::int64_t width = 0;    // of a packed row

  private:
    struct Block {
      std::int64_t dimension, channels, packed;
    };
    std::map<std::int64_t, Block> blocks_;    // by offset

    template <typename Visit> void for_each(Visit visit) const
    {
      for (const auto &[offset, block] : blocks_)
        for (std::int64_t u = 0; u < block.channels; ++u)
          for (std::int64_t m = 0; m < block.dimension; ++m)
            visit(offset + u * block.dimension + m,
                  block.packed + m * round_up<T>(block.channels) + u);
    }
  };

  // A pair (m1, m3) of a path with some C[m1, m2, m3] != 0 has a factor, the sum of C y[m2] over
  // m2.
  struct Link {
    std::int64_t other;    // m1 or m3
    std::int64_t factor;
  };
  template <typename T> struct Term {
    std::int64_t other;    // m2, or the factor
    T coupling;
  };

  // Lists one after the other; that of k begins at first[k] and ends where the next one begins.
  template <typename Item> struct Lists {
    std::vector<std::int64_t> first{0};
    std::vector<Item> items;

    void add(const std::vector<Item> &list)
    {
      items.insert(items.end(), list.begin(), list.end());
      first.push_back(static_cast<std::int64_t>(items.size()));
    }
  };

  template <typename T> struct PlannedPath {
    std::int64_t x, out;    // in packed rows
    std::int64_t w, channels, d1, d3;
    Lists<Link> of_m1, of_m3;
  };

  template <typename T> struct Plan {
    Packing<T> x, out;
    std::vector<PlannedPath<T>> paths;
    Lists<Term<T>> of_factor;    // m2 of the row of y
    Lists<Term<T>> of_y;         // factors with this m2
    std::int64_t num_factors = 0, largest_channels = 0;

    Plan(const ConvolutionShape &shape, const double *couplings)
    {
      std::vector<std::vector<Term<T>>> of_each_y(shape.y_width);
      for (const ConvolutionPath &path : shape.paths) {
        std::vector<std::vector<Link>> of_m1(path.d1), of_m3(path.d3);
        for (std::int64_t m3 = 0; m3 < path.d3; ++m3)
          for (std::int64_t m1 = 0; m1 < path.d1; ++m1) {
            std::vector<Term<T>> terms;
            for (std::int64_t m2 = 0; m2 < path.d2; ++m2) {
              const auto coupling = static_cast<T>(couplings[(m1 * path.d2 + m2) * path.d3 + m3]);
              if (coupling == 0) continue;
              terms.push_back({path.y + m2, coupling});
              of_each_y[path.y + m2].push_back({num_factors, coupling});
            }
            if (terms.empty()) continue;
            of_factor.add(terms);
            of_m1[m1].push_back({m3, num_factors});
            of_m3[m3].push_back({m1, num_factors});
            ++num_factors;
          }
        couplings += path.d1 * path.d2 * path.d3;
        PlannedPath<T> planned{x.place(path.x, path.d1, path.channels),
                               out.place(path.out, path.d3, path.channels),
                               path.w,
                               path.channels,
                               path.d1,
                               path.d3,
                               {},
                               {}};
        for (const auto &links : of_m1) planned.of_m1.add(links);
        for (const auto &links : of_m3) planned.of_m3.add(links);
        largest_channels = std::max(largest_channels, round_up<T>(path.channels));
        paths.push_back(std::move(planned));
      }
      for (const auto &terms : of_each_y) of_y.add(terms);
    }
  };

  // Edges by one of their ends.
  Lists<std::int64_t> edges_of(const std::int64_t *end, std::int64_t num_edges,
                               std::int64_t num_nodes)
  {
    Lists<std::int64_t> edges;
    edges.first.assign(num_nodes + 1, 0);
    edges.items.resize(num_edges);
    for (std::int64_t e = 0; e < num_edges; ++e) ++edges.first[end[e] + 1];
    for (std::int64_t k = 0; k < num_nodes; ++k) edges.first[k + 1] += edges.first[k];
    std::vector<std::int64_t> next(edges.first.begin(), edges.first.end() - 1);
    for (std::int64_t e = 0; e < num_edges; ++e) edges.items[next[end[e]]++] = e;
    return edges;
  }

  // ---- the work on a range of nodes
  // ----------------------------------------------------------------

  template <typename T> struct Job {
    const ConvolutionShape &shape;
    const ConvolutionGraph &graph;
    const Plan<T> &plan;
    const Lists<std::int64_t> &edges;
    const T *x, *out_gradient;    // packed
    const T *y, *w;
    T *out;
    T *x_gradient;    // packed
    T *y_gradient, *w_gradient;
  };

// The work is compiled twice on x86, and chosen by what the processor has.
#define MOFMD_INLINE [[gnu::always_inline]] inline

  template <typename T> MOFMD_INLINE Vector<T> &vector_at(T *buffer)
  {
    return *reinterpret_cast<Vector<T> *>(buffer);
  }
  template <typename T> MOFMD_INLINE const Vector<T> &vector_at(const T *buffer)
  {
    return *reinterpret_cast<const Vector<T> *>(buffer);
  }

  // What one thread works with.
  template <typename T> struct Workspace {
    std::vector<T> factors;     // of as many edges as there are lanes, edges in the lanes
    std::vector<T> y;           // of these edges
    std::vector<T> products;    // dE/d(factor) of one edge, before its lanes are summed
    std::vector<T> sum;         // row of out
    std::vector<T> w;           // of a path, filled up to whole vectors
    std::vector<T> w_gradient;

    explicit Workspace(const Job<T> &job) :
        factors(job.plan.num_factors * lanes<T>),
        y(job.shape.y_width * lanes<T>),
        products(job.plan.num_factors * lanes<T>),
        sum(job.plan.out.width),
        w(job.plan.largest_channels),
        w_gradient(job.plan.largest_channels)
    {
    }
  };

  // Factors of up to as many edges as there are lanes.
  template <typename T> MOFMD_INLINE void find_factors(const Job<T> &job, const std::int64_t *edges,
                                                       std::int64_t count, Workspace<T> &space)
  {
    for (std::int64_t m = 0; m < job.shape.y_width; ++m)
      for (std::int64_t l = 0; l < count; ++l)
        space.y[m * lanes<T> + l] = job.y[edges[l] * job.shape.y_width + m];
    const Lists<Term<T>> &terms = job.plan.of_factor;
    for (std::int64_t f = 0; f < job.plan.num_factors; ++f) {
      Vector<T> factor{};
      for (std::int64_t k = terms.first[f]; k < terms.first[f + 1]; ++k)
        factor += terms.items[k].coupling * vector_at(&space.y[terms.items[k].other * lanes<T>]);
      vector_at(&space.factors[f * lanes<T>]) = factor;
    }
  }

  // The path's weights on an edge, in whole vectors.
  template <typename T> MOFMD_INLINE const T *weights(const Job<T> &job, const PlannedPath<T> &path,
                                                      std::int64_t edge, Workspace<T> &space)
  {
    const T *const w = job.w + edge * job.shape.w_width + path.w;
    if (path.channels % lanes<T> == 0) return w;
    std::fill(space.w.begin() + path.channels, space.w.begin() + round_up<T>(path.channels), T(0));
    std::copy(w, w + path.channels, space.w.begin());
    return space.w.data();
  }

  // Adds the messages of one edge and path, `n` vectors of channels, to a row of out. `lane` of the
  // factors is the edge's; components are `stride` apart.
  template <typename T, int n> MOFMD_INLINE void add_messages(const PlannedPath<T> &path,
                                                              std::int64_t stride, const T *lane,
                                                              const T *w, const T *x, T *sum)
  {
    for (std::int64_t m3 = 0; m3 < path.d3; ++m3) {
      Vector<T> total[n] = {};
      for (std::int64_t k = path.of_m3.first[m3]; k < path.of_m3.first[m3 + 1]; ++k) {
        const Link &link = path.of_m3.items[k];
        const T factor = lane[link.factor * lanes<T>];
        for (int v = 0; v < n; ++v)
          total[v] += factor * vector_at(x + link.other * stride + v * lanes<T>);
      }
      for (int v = 0; v < n; ++v)
        vector_at(sum + m3 * stride + v * lanes<T>) += total[v] * vector_at(w + v * lanes<T>);
    }
  }

  // The way back: with `of_edges` dE/d(factors), added to `products`, and dE/dw, with `of_nodes`
  // dE/dx.
  template <typename T, int n, bool of_edges, bool of_nodes>
  MOFMD_INLINE void add_gradients(const PlannedPath<T> &path, std::int64_t stride, const T *lane,
                                  const T *w, const T *x, const T *out_gradient, bool is_first,
                                  T *products, T *w_gradient, T *x_gradient)
  {
    Vector<T> of_w[n] = {};
    for (std::int64_t m1 = 0; m1 < path.d1; ++m1) {
      Vector<T> of_wx[n] = {}, wx[n];
      for (int v = 0; v < n; ++v)
        wx[v] = vector_at(w + v * lanes<T>) * vector_at(x + m1 * stride + v * lanes<T>);
      for (std::int64_t k = path.of_m1.first[m1]; k < path.of_m1.first[m1 + 1]; ++k) {
        const Link &link = path.of_m1.items[k];
        const T factor = lane[link.factor * lanes<T>];
        Vector<T> product{};
        for (int v = 0; v < n; ++v) {
          const Vector<T> upstream = vector_at(out_gradient + link.other * stride + v * lanes<T>);
          of_wx[v] += factor * upstream;
          if (of_edges) product += wx[v] * upstream;
        }
        if (of_edges) {
          Vector<T> &stored = vector_at(products + link.factor * lanes<T>);
          stored = is_first ? product : stored + product;
        }
      }
      for (int v = 0; v < n; ++v) {
        if (of_edges) of_w[v] += of_wx[v] * vector_at(x + m1 * stride + v * lanes<T>);
        if (of_nodes)
          vector_at(x_gradient + m1 * stride + v * lanes<T>) +=
              of_wx[v] * vector_at(w + v * lanes<T>);
      }
    }
    if (of_edges)
      for (int v = 0; v < n; ++v) vector_at(w_gradient + v * lanes<T>) = of_w[v];
  }

  // Calls act(number of vectors as a constant, first channel) until all channels, a number of whole
  // vectors, are done.
  template <typename T, typename Act> MOFMD_INLINE void by_vectors(std::int64_t channels, Act act)
  {
    std::int64_t done = 0;
    for (; done + most_vectors * lanes<T> <= channels; done += most_vectors * lanes<T>)
      act(std::integral_constant<int, most_vectors>{}, done);
    switch ((channels - done) / lanes<T>) {
    case 3: act(std::integral_constant<int, 3>{}, done); break;
    case 2: act(std::integral_constant<int, 2>{}, done); break;
    case 1: act(std::integral_constant<int, 1>{}, done); break;
    default: break;
    }
  }

  enum class Work { forward, backward, backward_of_edges, backward_of_nodes };

  template <typename T, Work work> MOFMD_INLINE void do_edge(const Job<T> &job, std::int64_t edge,
                                                             const T *lane, Workspace<T> &space)
  {
    constexpr bool of_edges = work != Work::backward_of_nodes;
    constexpr bool of_nodes = work != Work::backward_of_edges;
    const std::int64_t neighbour = job.graph.neighbours[edge] * job.plan.x.width;
    const std::int64_t centre = job.graph.centres[edge] * job.plan.out.width;
    for (const PlannedPath<T> &path : job.plan.paths) {
      const T *const w = weights(job, path, edge, space);
      const std::int64_t stride = round_up<T>(path.channels);
      by_vectors<T>(stride, [&](auto n, std::int64_t u) [[gnu::always_inline]] {
        if constexpr (work == Work::forward)
          add_messages<T, n>(path, stride, lane, w + u, job.x + neighbour + path.x + u,
                             space.sum.data() + path.out + u);
        else
          add_gradients<T, n, of_edges, of_nodes>(
              path, stride, lane, w + u, job.x + neighbour + path.x + u,
              job.out_gradient + centre + path.out + u, u == 0, space.products.data(),
              space.w_gradient.data() + u, job.x_gradient + neighbour + path.x + u);
      });
      if constexpr (work == Work::backward || work == Work::backward_of_edges)
        std::copy_n(space.w_gradient.data(), path.channels,
                    job.w_gradient + edge * job.shape.w_width + path.w);
    }
    if constexpr (work == Work::backward || work == Work::backward_of_edges)
      for (std::int64_t m = 0; m < job.shape.y_width; ++m) {
        const Lists<Term<T>> &terms = job.plan.of_y;
        Vector<T> sums{};
        for (std::int64_t k = terms.first[m]; k < terms.first[m + 1]; ++k)
          sums +=
              terms.items[k].coupling * vector_at(&space.products[terms.items[k].other * lanes<T>]);
        T sum = 0;
        for (std::int64_t l = 0; l < lanes<T>; ++l) sum += sums[l];
        job.y_gradient[edge * job.shape.y_width + m] = sum;
      }
  }

  template <typename T, Work work>
  MOFMD_INLINE void do_rows(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    Workspace<T> space(job);
    for (std::int64_t row = begin; row < end; ++row) {
      if (work == Work::forward) std::fill(space.sum.begin(), space.sum.end(), T(0));
      const std::int64_t past = job.edges.first[row + 1];
      for (std::int64_t k = job.edges.first[row]; k < past; k += lanes<T>) {
        const std::int64_t *const edges = &job.edges.items[k];
        const std::int64_t count = std::min(lanes<T>, past - k);
        find_factors(job, edges, count, space);
        for (std::int64_t l = 0; l < count; ++l)
          do_edge<T, work>(job, edges[l], space.factors.data() + l, space);
      }
      if (work == Work::forward)
        job.plan.out.unpack_row(space.sum.data(), job.out + row * job.shape.out_width);
    }
  }

#if defined(__x86_64__)
  template <typename T, Work work> __attribute__((target("avx2,fma"))) void
  do_rows_avx2(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    do_rows<T, work>(job, begin, end);
  }
#endif

  template <typename T, Work work>
  void do_rows_plain(const Job<T> &job, std::int64_t begin, std::int64_t end)
  {
    do_rows<T, work>(job, begin, end);
  }

  template <typename T, Work work> void for_rows(const Job<T> &job)
  {
    auto *function = do_rows_plain<T, work>;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      function = do_rows_avx2<T, work>;
#endif
    at::parallel_for(0, job.graph.num_nodes, rows_per_task,
                     [&](std::int64_t begin, std::int64_t end) { function(job, begin, end); });
  }

}    // namespace

template <typename T> void convolve(const ConvolutionShape &shape, const double *couplings,
                                    const ConvolutionGraph &graph, const T *x, const T *y,
                                    const T *w, T *out)
{
  const Plan<T> plan(shape, couplings);
  const auto edges = edges_of(graph.centres, graph.num_edges, graph.num_nodes);
  const std::vector<T> packed_x = plan.x.pack(x, graph.num_nodes, shape.x_width);
  for_rows<T, Work::forward>(
      {shape, graph, plan, edges, packed_x.data(), nullptr, y, w, out, nullptr, nullptr, nullptr});
}

template <typename T> void convolve_backward(const ConvolutionShape &shape, const double *couplings,
                                             const ConvolutionGraph &graph, const T *out_gradient,
                                             const T *x, const T *y, const T *w, T *x_gradient,
                                             T *y_gradient, T *w_gradient)
{
  const Plan<T> plan(shape, couplings);
  const auto edges = edges_of(graph.centres, graph.num_edges, graph.num_nodes);
  const std::vector<T> packed_x = plan.x.pack(x, graph.num_nodes, shape.x_width);
  const std::vector<T> packed_out = plan.out.pack(out_gradient, graph.num_nodes, shape.out_width);
  std::vector<T> packed_gradient(graph.num_nodes * plan.x.width);
  const auto job = [&](const Lists<std::int64_t> &in_order) {
    return Job<T>{shape,
                  graph,
                  plan,
                  in_order,
                  packed_x.data(),
                  packed_out.data(),
                  y,
                  w,
                  nullptr,
                  packed_gradient.data(),
                  y_gradient,
                  w_gradient};
  };
  if (at::get_num_threads() == 1) {
    for_rows<T, Work::backward>(job(edges));
  } else {
    // Each row of x's gradient has one thread that adds to it.
    for_rows<T, Work::backward_of_edges>(job(edges));
    for_rows<T, Work::backward_of_nodes>(
        job(edges_of(graph.neighbours, graph.num_edges, graph.num_nodes)));
  }
  at::parallel_for(0, graph.num_nodes, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      plan.x.unpack_row(packed_gradient.data() + row * plan.x.width,
                        x_gradient + row * shape.x_width);
  });
}

template void convolve(const ConvolutionShape &, const double *, const ConvolutionGraph &,
                       const float *, const float *, const float *, float *);
template void convolve(const ConvolutionShape &, const double *, const ConvolutionGraph &,
                       const double *, const double *, const double *, double *);
template void convolve_backward(const ConvolutionShape &, const double *, const ConvolutionGraph &,
                                const float *, const float *, const float *, const float *, float *,
                                float *, float *);
template void convolve_backward(const ConvolutionShape &, const double *, const ConvolutionGraph &,
                                const double *, const double *, const double *, const double *,
                                double *, double *, double *);

}    // namespace mofmd
