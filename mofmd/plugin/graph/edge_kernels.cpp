#include "graph/edge_kernels.h"

#include "base/made_once.h"
#include "gpu/gpu_program.h"

#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <optional>
#include <utility>

namespace mofmd {

namespace {

  constexpr std::int64_t edges_per_thread = 8;    // of sum_edges

  // One thread per pair, per edge, per run of edges.
  const char *const SOURCE = R"(
KERNEL find_near(const double *x, const long long *centres, const long long *neighbours,
                 const double *cutoff_sq, bool *is_near, long long num_pairs)
{
  const long long p = team();
  if (p >= num_pairs) return;
  const double *a = x + 3 * centres[p], *b = x + 3 * neighbours[p];
  const double r0 = b[0] - a[0], r1 = b[1] - a[1], r2 = b[2] - a[2];
  is_near[p] = r0 * r0 + r1 * r1 + r2 * r2 < cutoff_sq[p];
}

KERNEL take_edges(const double *x, const long long *centres, const long long *neighbours,
                  const long long *ends, const long long *kept, double *vectors, long long *index,
                  long long num_pairs, long long num_edges, double padding_y,
                  long long first_padding_node, long long num_padding_nodes)
{
  const long long e = team();
  if (e >= num_edges) return;
  const long long p = kept[e];
  if (p >= num_pairs) {
    vectors[3 * e] = vectors[3 * e + 2] = 0;
    vectors[3 * e + 1] = padding_y;
    index[e] = index[num_edges + e] =
        first_padding_node + e / PADDINGS_IN_A_ROW % num_padding_nodes;
    return;
  }
  const double *a = x + 3 * centres[p], *b = x + 3 * neighbours[p];
  for (int d = 0; d < 3; ++d) vectors[3 * e + d] = b[d] - a[d];
  index[e] = ends[p];
  index[num_edges + e] = ends[num_pairs + p];
}

KERNEL sum_edges(const real *g, const double *vectors, const long long *index,
                 const long long *kept, double *forces, double *virial, long long num_pairs,
                 long long num_edges, long long edges_each)
{
  const long long first = team() * edges_each;
  const long long past = first + edges_each < num_edges ? first + edges_each : num_edges;
  double w[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0}, f[3] = {0, 0, 0};
  long long centre = -1;
  for (long long e = first; e < past; ++e) {
    if (kept && kept[e] >= num_pairs) continue;
    if (index[e] != centre) {
      for (int d = 0; d < 3; ++d) {
        if (centre >= 0) add(&forces[3 * centre + d], f[d]);
        f[d] = 0;
      }
      centre = index[e];
    }
    const long long neighbour = index[num_edges + e];
    for (int d = 0; d < 3; ++d) {
      const double gradient = g[3 * e + d];
      f[d] += gradient;
      add(&forces[3 * neighbour + d], -gradient);
      for (int c = 0; c < 3; ++c) w[3 * c + d] -= vectors[3 * e + c] * gradient;
    }
  }
  for (int d = 0; d < 3; ++d)
    if (centre >= 0) add(&forces[3 * centre + d], f[d]);
  for (int k = 0; k < 9; ++k) {
    const double sum = warp_sum(w[k]);
    if (is_first_of_warp()) add(&virial[k], sum);
  }
}
)";

  struct EdgeKernels {
    GpuKernel find_near, take_edges, sum_edges;
  };

  // nullptr where torch's operators do their work.
  const EdgeKernels *edge_kernels(torch::Device device, torch::ScalarType type)
  {
    if (!device.is_cuda()) return nullptr;
    using Kernels = std::optional<EdgeKernels>;
    static auto &kernels = *new MadeOnce<std::pair<int, torch::ScalarType>, Kernels>;
    const Kernels &found = kernels.get({device.index(), type}, [&]() -> Kernels {
      const GpuProgram *const program = gpu_program(
          device_functions(type == torch::kDouble, /*team_size=*/1) + edge_kernels_source(), device,
          "graphs are made by torch's own operators, which is slower");
      if (!program) return std::nullopt;
      return EdgeKernels{program->kernel("find_near"), program->kernel("take_edges"),
                         program->kernel("sum_edges")};
    });
    return found ? &*found : nullptr;
  }

  GpuGrid grid_for(std::int64_t threads)
  {
    const std::int64_t blocks = (threads + threads_per_block - 1) / threads_per_block;
    return {static_cast<unsigned>(blocks), 1, static_cast<unsigned>(threads_per_block)};
  }

  // Pointers as a kernel takes them.
  const void *at(const torch::Tensor &tensor)
  {
    return tensor.defined() ? tensor.const_data_ptr() : nullptr;
  }

  torch::Tensor separations(const PairTable &pairs)
  {
    return pairs.positions.index_select(0, pairs.neighbor_atoms) -
           pairs.positions.index_select(0, pairs.centre_atoms);
  }

}    // namespace

std::string edge_kernels_source()
{
  return "#define PADDINGS_IN_A_ROW " + std::to_string(paddings_in_a_row) + SOURCE;
}

torch::Tensor find_near(const PairTable &pairs)
{
  const EdgeKernels *const gpu = edge_kernels(pairs.positions.device(), torch::kDouble);
  if (!gpu) return separations(pairs).square().sum(1) < pairs.cutoff_sq;
  const c10::DeviceGuard guard(pairs.positions.device());
  long long num_pairs = pairs.cutoff_sq.size(0);
  torch::Tensor is_near = torch::empty({num_pairs}, pairs.cutoff_sq.options().dtype(torch::kBool));
  if (num_pairs == 0) return is_near;
  const void *tables[] = {at(pairs.positions), at(pairs.centre_atoms), at(pairs.neighbor_atoms),
                          at(pairs.cutoff_sq), is_near.data_ptr()};
  void *arguments[] = {&tables[0], &tables[1], &tables[2], &tables[3], &tables[4], &num_pairs};
  gpu->find_near.launch(grid_for(num_pairs), arguments);
  return is_near;
}

EdgeArrays take_edges(const PairTable &pairs, const torch::Tensor &kept, const EdgePadding &padding)
{
  long long num_pairs = pairs.cutoff_sq.size(0), num_edges = kept.size(0);
  const EdgeKernels *const gpu = edge_kernels(kept.device(), torch::kDouble);
  if (!gpu) {
    const torch::Tensor is_padding = kept >= static_cast<std::int64_t>(num_pairs);
    const torch::Tensor pair = kept.masked_fill(is_padding, 0);
    const torch::Tensor nodes = padding.first_node + torch::arange(num_edges, kept.options())
                                                         .floor_divide(paddings_in_a_row)
                                                         .remainder(padding.num_nodes);
    const torch::Tensor vector =
        torch::tensor({0.0, padding.y, 0.0}, torch::kDouble).to(kept.device());
    return {torch::where(is_padding.unsqueeze(1), vector, separations(pairs).index_select(0, pair)),
            torch::where(is_padding, nodes, pairs.ends.index_select(1, pair))};
  }
  const c10::DeviceGuard guard(kept.device());
  EdgeArrays edges{torch::empty({num_edges, 3}, pairs.positions.options()),
                   torch::empty({2, num_edges}, kept.options())};
  if (num_edges == 0) return edges;
  const void *tables[] = {at(pairs.positions),
                          at(pairs.centre_atoms),
                          at(pairs.neighbor_atoms),
                          at(pairs.ends),
                          at(kept),
                          edges.vectors.data_ptr(),
                          edges.index.data_ptr()};
  double padding_y = padding.y;
  long long first_node = padding.first_node, num_nodes = padding.num_nodes;
  void *arguments[] = {&tables[0], &tables[1], &tables[2], &tables[3], &tables[4],  &tables[5],
                       &tables[6], &num_pairs, &num_edges, &padding_y, &first_node, &num_nodes};
  gpu->take_edges.launch(grid_for(num_edges), arguments);
  return edges;
}

EdgeSums sum_edges(const torch::Tensor &gradients, const EdgeArrays &edges, std::int64_t num_nodes,
                   const torch::Tensor &kept, std::int64_t num_pairs)
{
  const auto reals = edges.vectors.options();
  EdgeSums sums{torch::zeros({num_nodes, 3}, reals), {}};
  const EdgeKernels *const gpu = edge_kernels(gradients.device(), gradients.scalar_type());
  if (!gpu) {
    torch::Tensor g = gradients.to(torch::kDouble);
    if (kept.defined()) g = g.masked_fill((kept >= num_pairs).unsqueeze(1), 0.0);
    sums.forces.index_add_(0, edges.index[0], g);
    sums.forces.index_add_(0, edges.index[1], g, /*alpha=*/-1.0);
    sums.virial = -edges.vectors.t().mm(g);
    return sums;
  }
  const c10::DeviceGuard guard(gradients.device());
  sums.virial = torch::zeros({3, 3}, reals);
  long long num_edges = gradients.size(0), pairs = num_pairs, edges_each = edges_per_thread;
  if (num_edges == 0) return sums;
  const torch::Tensor g = gradients.contiguous(), vectors = edges.vectors.contiguous(),
                      index = edges.index.contiguous();
  const void *tables[] = {
      at(g), at(vectors), at(index), at(kept), sums.forces.data_ptr(), sums.virial.data_ptr()};
  void *arguments[] = {&tables[0], &tables[1], &tables[2], &tables[3], &tables[4],
                       &tables[5], &pairs,     &num_edges, &edges_each};
  gpu->sum_edges.launch(grid_for((num_edges + edges_each - 1) / edges_each), arguments);
  return sums;
}

}    // namespace mofmd

TORCH_LIBRARY_FRAGMENT(mofmd, library)
{
  // for tests, which compile it for the CPU
  library.def("edge_kernels_source() -> str", mofmd::edge_kernels_source);
}
