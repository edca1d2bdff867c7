#include "dispersion/dispersion.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <cmath>

namespace mofmd {

namespace {

  constexpr std::int64_t CENTRES_PER_TASK = 8;
  constexpr std::int64_t SITES_PER_TASK = 512;    // whole vectors

  struct Processor {
    const DispersionKernels *kernels;
    const char *name;
    int lanes;
  };

  // By what torch found, which ATEN_CPU_CAPABILITY can lower.
  Processor find_processor()
  {
#if defined(__x86_64__)
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return {&avx512_dispersion, "AVX-512", 8};
    if (capability == "AVX2") return {&avx2_dispersion, "AVX2", 4};
#endif
    return {&plain_dispersion, "any processor", 2};
  }

  PairTerms pair_terms(const DispersionParameters &parameters, std::size_t a, std::size_t b)
  {
    const std::size_t count = parameters.elements.size();
    const DispersionElement &first = parameters.elements[a], &second = parameters.elements[b];
    const double c8_over_c6 = 3.0 * first.moment * second.moment;
    PairTerms pair{};
    pair.s6 = parameters.s6;
    pair.c8 = parameters.s8 * c8_over_c6;
    if (parameters.zero_damping) {
      const double radius = parameters.radius[a * count + b];
      pair.damping6 = 1.0 / (parameters.rs6 * radius);
      pair.damping8 = 1.0 / (parameters.rs8 * radius);
      pair.shift = parameters.beta * radius;
    } else {
      const double radius = parameters.a1 * std::sqrt(c8_over_c6) + parameters.a2;
      pair.damping6 = std::pow(radius, 6);
      pair.damping8 = std::pow(radius, 8);
    }
    pair.covalent = COUNTING_STEEPNESS * (first.covalent_radius + second.covalent_radius);
    return pair;
  }

}    // namespace

Dispersion::Dispersion(const DispersionParameters &parameters,
                       const std::vector<int> &element_of_type, const SumRange &energy_range,
                       const SumRange &coordination_range, const std::string &device) :
    energy_range_(energy_range),
    coordination_range_(coordination_range),
    zero_damping_(parameters.zero_damping),
    kind_of_type_(element_of_type.size(), -1)
{
  const Processor processor = find_processor();
  kernels_ = processor.kernels;
  processor_ = processor.name;
  lanes_ = processor.lanes;
  device_ = device;
  if (device != "cpu") gpu_ = std::make_unique<DispersionGpu>(device);
  take_kinds(parameters, element_of_type);
}

// Kinds are the elements that types have, in the order of the types.
void Dispersion::take_kinds(const DispersionParameters &parameters,
                            const std::vector<int> &element_of_type)
{
  std::vector<int> element_of_kind;
  for (std::size_t type = 0; type < element_of_type.size(); ++type) {
    if (element_of_type[type] < 0) continue;
    const auto found =
        std::find(element_of_kind.begin(), element_of_kind.end(), element_of_type[type]);
    kind_of_type_[type] = static_cast<int>(found - element_of_kind.begin());
    if (found == element_of_kind.end()) element_of_kind.push_back(element_of_type[type]);
  }
  num_kinds_ = static_cast<int>(element_of_kind.size());
  const std::size_t count = parameters.elements.size();
  reference_numbers_.assign(num_kinds_ * MOST_REFERENCES, 0.0);
  c6_.assign(num_kinds_ * num_kinds_ * MOST_REFERENCES * MOST_REFERENCES, 0.0);
  for (int k = 0; k < num_kinds_; ++k) {
    const int a = element_of_kind[k];
    const std::vector<double> &numbers = parameters.elements[a].reference_numbers;
    num_references_.push_back(static_cast<int>(numbers.size()));
    std::copy(numbers.begin(), numbers.end(), &reference_numbers_[k * MOST_REFERENCES]);
    for (int m = 0; m < num_kinds_; ++m) {
      const int b = element_of_kind[m];
      pairs_.push_back(pair_terms(parameters, a, b));
      const std::vector<double> &table = parameters.c6[a * count + b];
      const std::size_t columns = parameters.elements[b].reference_numbers.size();
      double *const padded = &c6_[(k * num_kinds_ + m) * MOST_REFERENCES * MOST_REFERENCES];
      for (std::size_t n = 0; n < table.size(); ++n)
        padded[n / columns * MOST_REFERENCES + n % columns] = table[n];
    }
  }
}

void Dispersion::rebuild(const AtomArrays &atoms, double skin)
{
  sites_.rebuild(atoms, kind_of_type_, num_kinds_, energy_range_.cutoff + skin,
                 coordination_range_.cutoff + skin, lanes_);
  const std::size_t num_sites = sites_.x.size(), num_centres = sites_.num_centres();
  of_site_.assign(num_sites, 0.0);
  weights_.assign(MOST_REFERENCES * num_sites, 0.0);
  for (auto *const of_centres : {&coordination_, &energy_, &by_coordination_})
    of_centres->assign(num_centres, 0.0);
  if (gpu_) gpu_->take_lists(job(false));
}

DispersionJob Dispersion::job(bool wants_virial)
{
  DispersionJob job{};
  job.num_kinds = num_kinds_;
  job.num_centres = num_centres();
  job.kind_begin = sites_.kind_begin.data();
  job.num_references = num_references_.data();
  job.reference_numbers = reference_numbers_.data();
  job.c6 = c6_.data();
  job.pairs = pairs_.data();
  job.energy_range = energy_range_;
  job.coordination_range = coordination_range_;
  job.zero_damping = zero_damping_;
  job.x = sites_.x.data();
  job.y = sites_.y.data();
  job.z = sites_.z.data();
  job.centre_site = sites_.centre_site.data();
  job.centre_kind = sites_.centre_kind.data();
  job.near = sites_.near();
  job.bonded = sites_.bonded();
  job.coordination = coordination_.data();
  job.of_site = of_site_.data();
  job.weights = weights_.data();
  job.energy = energy_.data();
  job.by_coordination = by_coordination_.data();
  job.force = force_.data();
  job.virial = wants_virial ? virial_.data() : nullptr;
  return job;
}

void Dispersion::take_to_sites(const double *of_atom)
{
  for (std::size_t k = 0; k < sites_.sites.size(); ++k)
    of_site_[sites_.sites[k]] = of_atom[sites_.atoms[k]];
}

void Dispersion::put_to_atoms(const std::vector<double> &of_centre, double *of_atom) const
{
  for (std::size_t c = 0; c < of_centre.size(); ++c) of_atom[sites_.centre_atom[c]] = of_centre[c];
}

// Runs a kernel for all centres, or a GPU's in its place.
void Dispersion::run(Kernel kernel, GpuKernels gpu_kernel, bool wants_virial)
{
  const DispersionJob work = job(wants_virial);
  if (gpu_)
    (gpu_.get()->*gpu_kernel)(work);
  else
    at::parallel_for(0, num_centres(), CENTRES_PER_TASK,
                     [&](std::int64_t begin, std::int64_t end) { kernel(work, begin, end); });
}

void Dispersion::count_neighbours(double *of_atom)
{
  run(kernels_->count_neighbours, &DispersionGpu::count_neighbours, false);
  put_to_atoms(coordination_, of_atom);
}

void Dispersion::weigh_references()
{
  const DispersionJob work = job(false);
  for (int kind = 0; kind < num_kinds_; ++kind) {
    const std::int64_t vectors =
        (sites_.kind_begin[kind + 1] - sites_.kind_begin[kind]) / MOST_LANES;
    at::parallel_for(0, vectors, SITES_PER_TASK / MOST_LANES,
                     [&](std::int64_t begin, std::int64_t end) {
                       kernels_->weigh_references(work, kind, begin * MOST_LANES, end * MOST_LANES);
                     });
  }
}

void Dispersion::sum_pairs(double *of_atom, bool wants_virial)
{
  take_to_sites(of_atom);
  force_.assign(3 * static_cast<std::size_t>(num_centres()), 0.0);
  virial_.assign(wants_virial ? 6 * static_cast<std::size_t>(num_centres()) : 0, 0.0);
  if (!gpu_) weigh_references();
  run(kernels_->sum_pairs, &DispersionGpu::sum_pairs, wants_virial);
  put_to_atoms(by_coordination_, of_atom);
}

void Dispersion::add_chain_forces(const double *of_atom)
{
  take_to_sites(of_atom);
  run(kernels_->add_chain_forces, &DispersionGpu::add_chain_forces, !virial_.empty());
}

double Dispersion::memory() const
{
  std::size_t doubles = 0;
  for (const auto *const held :
       {&coordination_, &of_site_, &weights_, &energy_, &by_coordination_, &force_, &virial_})
    doubles += held->capacity();
  return sites_.memory() + static_cast<double>(doubles * sizeof(double));
}

}    // namespace mofmd
