// sources: dispersion/dispersion.cpp dispersion/dispersion_sites.cpp
// sources: dispersion/processors/dispersion_plain.cpp
// sanitizer: thread

#include "check.h"

#include "dispersion/dispersion.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <random>
#include <stdexcept>

// Not asked for: the kernels for any processor are taken, and no GPU.
namespace mofmd {

const DispersionKernels avx2_dispersion{};
const DispersionKernels avx512_dispersion{};

class DispersionGpu::Memory {};
DispersionGpu::DispersionGpu(const std::string &)
{
  throw std::runtime_error("no GPU");
}
DispersionGpu::~DispersionGpu() = default;
void DispersionGpu::take_lists(const DispersionJob &)
{
}
void DispersionGpu::count_neighbours(const DispersionJob &)
{
}
void DispersionGpu::sum_pairs(const DispersionJob &)
{
}
void DispersionGpu::add_chain_forces(const DispersionJob &)
{
}

}    // namespace mofmd

namespace {

using mofmd::AtomArrays;
using mofmd::Dispersion;
using mofmd::DispersionParameters;

constexpr double C6 = 25.0, MOMENT = 1.7, S6 = 1.0, S8 = 0.78, A1 = 0.43, A2 = 2.3;

// Two elements; one knows one reference system, the other two.
DispersionParameters parameters()
{
  DispersionParameters made;
  made.s6 = S6;
  made.s8 = S8;
  made.a1 = A1;
  made.a2 = A2;
  made.elements = {{"A", 0.4, MOMENT, {0.0}}, {"B", 0.9, 1.4, {0.0, 2.9}}};
  made.radius = {2.0, 2.2, 2.2, 2.4};
  made.c6 = {{C6}, {18.0, 12.0}, {18.0, 12.0}, {14.0, 9.0, 9.0, 7.0}};
  return made;
}

struct Atoms {
  std::vector<double> positions;
  std::vector<int> types;

  int count() const { return static_cast<int>(types.size()); }
};

// Atoms on a grid, off their places, the elements in turn.
Atoms cluster(int side)
{
  std::mt19937 random(7);
  std::uniform_real_distribution<double> off(-0.3, 0.3);
  Atoms made;
  for (int i = 0; i < side; ++i)
    for (int j = 0; j < side; ++j)
      for (int k = 0; k < side; ++k) {
        for (const int n : {i, j, k}) made.positions.push_back(1.7 * n + off(random));
        made.types.push_back(1 + made.count() % 2);
      }
  return made;
}

struct Found {
  double energy = 0.0;
  std::vector<double> force, virial;
};

Found evaluate(const Atoms &atoms, int threads)
{
  at::number_of_threads = threads;
  const mofmd::SumRange energy{8.0, 6.0, 0.5}, coordination{5.0, 4.0, 1.0};
  Dispersion dispersion(parameters(), {-1, 0, 1}, energy, coordination, "cpu");
  std::vector<const double *> rows;
  for (int k = 0; k < atoms.count(); ++k) rows.push_back(&atoms.positions[3 * k]);
  const AtomArrays arrays{atoms.count(), atoms.count(), rows.data(), atoms.types.data(), nullptr};
  dispersion.rebuild(arrays, 1.0);
  std::vector<double> of_atom(atoms.count());
  dispersion.count_neighbours(of_atom.data());
  dispersion.sum_pairs(of_atom.data(), true);
  Found found;
  for (const double each : dispersion.energy()) found.energy += each;
  dispersion.add_chain_forces(of_atom.data());
  found.force.resize(3 * atoms.count());
  for (int c = 0; c < dispersion.num_centres(); ++c)
    for (int k = 0; k < 3; ++k)
      found.force[3 * dispersion.centre_atom()[c] + k] = dispersion.force()[3 * c + k];
  found.virial.assign(6, 0.0);
  for (std::size_t n = 0; n < dispersion.virial().size(); ++n)
    found.virial[n % 6] += dispersion.virial()[n];
  return found;
}

bool close(double found, double expected, double tolerance)
{
  if (std::abs(found - expected) <= tolerance) return true;
  std::cout << found << ", expected " << expected << "\n";
  return false;
}

}    // namespace

TEST(two_atoms_by_hand)
{
  const double r = 3.1, ratio = 3.0 * MOMENT * MOMENT, radius = A1 * std::sqrt(ratio) + A2;
  const Found found = evaluate({{0.0, 0.0, 0.0, 0.0, 0.0, r}, {1, 1}}, 1);
  const double sum6 = std::pow(r, 6) + std::pow(radius, 6);
  const double sum8 = std::pow(r, 8) + std::pow(radius, 8);
  EQUAL(close(found.energy, -C6 * (S6 / sum6 + S8 * ratio / sum8), 1e-12), true);
  const double pull = C6 * (6.0 * S6 * std::pow(r, 5) / (sum6 * sum6) +
                            8.0 * S8 * ratio * std::pow(r, 7) / (sum8 * sum8));
  EQUAL(close(found.force[2], pull, 1e-12), true);
  EQUAL(close(found.force[5], -pull, 1e-12), true);
  EQUAL(close(found.virial[2], -pull * r, 1e-12), true);
}

TEST(beyond_the_cutoff_is_nothing)
{
  EQUAL(evaluate({{0.0, 0.0, 0.0, 0.0, 0.0, 8.001}, {1, 1}}, 1).energy, 0.0);
  EQUAL(evaluate({{0.0, 0.0, 0.0, 0.0, 0.0, 7.9}, {1, 1}}, 1).energy < 0.0, true);
}

TEST(forces_are_the_slopes_of_the_energy)
{
  Atoms atoms = cluster(3);
  const Found found = evaluate(atoms, 1);
  const double step = 1e-4;
  for (const std::size_t n : {0, 40, 80}) {
    const double at = atoms.positions[n];
    atoms.positions[n] = at + step;
    const double above = evaluate(atoms, 1).energy;
    atoms.positions[n] = at - step;
    const double below = evaluate(atoms, 1).energy;
    atoms.positions[n] = at;
    EQUAL(close(found.force[n], (below - above) / (2.0 * step), 1e-7), true);
  }
}

TEST(any_number_of_threads_gives_the_same)
{
  const Atoms atoms = cluster(7);
  const Found one = evaluate(atoms, 1);
  EQUAL(one.energy < 0.0, true);
  for (const int threads : {2, 5}) {
    const Found several = evaluate(atoms, threads);
    EQUAL(several.energy, one.energy);
    EQUAL(several.force == one.force, true);
    EQUAL(several.virial == one.virial, true);
  }
}
