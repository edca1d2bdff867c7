// The D3 energy of a rank's atoms and its derivatives. Each owned atom sums over all its
// neighbours, so that nothing is added to ghosts and the result is the same for any number of
// threads. Ghosts need their owners' coordination numbers, then their owners' dE/dCN: three steps,
// two exchanges.

#ifndef MOFMD_DISPERSION_H
#define MOFMD_DISPERSION_H

#include "dispersion/dispersion_gpu.h"
#include "dispersion/dispersion_parameters.h"
#include "dispersion/dispersion_sites.h"

#include <memory>
#include <string>
#include <vector>

namespace mofmd {

class Dispersion {
public:
  // `element_of_type`: of a LAMMPS type, its place in `parameters.elements`, or -1. `device`: cpu
  // or a GPU as torch names it; throws std::runtime_error where that cannot be used.
  Dispersion(const DispersionParameters &parameters, const std::vector<int> &element_of_type,
             const SumRange &energy_range, const SumRange &coordination_range,
             const std::string &device);

  void rebuild(const AtomArrays &atoms, double skin);
  void move(const double *const *x) { sites_.move(x); }

  // Coordination numbers into `of_atom` (num_all), of owned atoms.
  void count_neighbours(double *of_atom);
  // From the coordination numbers of all atoms: energies and forces as if they were constant, and
  // dE/dCN of owned atoms, into the same place.
  void sum_pairs(double *of_atom, bool wants_virial);
  // From dE/dCN of all atoms: the rest of the forces.
  void add_chain_forces(const double *of_atom);

  // Of owned atoms that take part.
  int num_centres() const { return sites_.num_centres(); }
  const std::vector<int> &centre_atom() const { return sites_.centre_atom; }
  const std::vector<double> &energy() const { return energy_; }    // eV
  const std::vector<double> &force() const { return force_; }      // (centres, 3) eV/Å
  const std::vector<double> &virial() const { return virial_; }    // (centres, 6) eV

  // Where it runs, such as "cpu (AVX2)".
  std::string place() const { return gpu_ ? device_ : device_ + " (" + processor_ + ")"; }
  double memory() const;    // bytes

private:
  const DispersionKernels *kernels_;
  std::string device_;
  const char *processor_;
  std::unique_ptr<DispersionGpu> gpu_;    // in place of the kernels
  int lanes_;
  SumRange energy_range_, coordination_range_;
  bool zero_damping_;
  std::vector<int> kind_of_type_;    // elements of these atoms, counted from 0
  int num_kinds_ = 0;
  std::vector<int> num_references_;
  std::vector<double> reference_numbers_, c6_;
  std::vector<PairTerms> pairs_;
  DispersionSites sites_;
  std::vector<double> coordination_, of_site_, weights_, energy_, by_coordination_, force_, virial_;

  using Kernel = void (*)(const DispersionJob &, std::int64_t, std::int64_t);
  using GpuKernels = void (DispersionGpu::*)(const DispersionJob &);

  void take_kinds(const DispersionParameters &parameters, const std::vector<int> &element_of_type);
  DispersionJob job(bool wants_virial);
  void run(Kernel kernel, GpuKernels gpu_kernel, bool wants_virial);
  void weigh_references();
  void take_to_sites(const double *of_atom);
  void put_to_atoms(const std::vector<double> &of_centre, double *of_atom) const;
};

}    // namespace mofmd

#endif
