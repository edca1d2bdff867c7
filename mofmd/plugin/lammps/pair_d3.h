// The LAMMPS side of dispersion: pair style d3, alone or in hybrid/overlay with a model.

#ifndef MOFMD_PAIR_D3_H
#define MOFMD_PAIR_D3_H

#include "dispersion/dispersion.h"

#include "pair.h"

#include <memory>
#include <string>
#include <vector>

namespace mofmd {

class PairD3 : public LAMMPS_NS::Pair {
public:
  explicit PairD3(LAMMPS_NS::LAMMPS *lmp);
  ~PairD3() override;

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  void finish() override;
  double memory_usage() override;

  int pack_forward_comm(int n, int *list, double *buf, int pbc_flag, int *pbc) override;
  void unpack_forward_comm(int n, int first, double *buf) override;

private:
  enum Part { LISTS, COUNTING, PAIRS, CHAIN, EXCHANGE, NUM_PARTS };

  SumRange energy_range_, coordination_range_;
  std::string device_ = "cpu";
  double energy_unit_ = 1.0;    // LAMMPS's energy unit per eV
  int num_threads_ = 1;
  DispersionParameters parameters_;
  std::vector<int> element_of_type_;    // (types + 1), or -1: takes no part (NULL)
  std::unique_ptr<Dispersion> dispersion_;
  LAMMPS_NS::bigint lists_built_ = -1;    // by LAMMPS, when the atoms were looked at last
  std::vector<double> of_atom_;           // (nlocal + nghost) what is exchanged
  double seconds_[NUM_PARTS] = {};        // since the last report
  long calls_ = 0;

  bool is_in_hybrid() const;
  template <typename Act> void together(Act act);
  double reach() const;
  SumRange read_range(int narg, char **arg, int &k);
  void read_elements(int narg, char **arg);
  void widen_ghost_shell();
  void warn_of_masses();
  void report_method();
  void exchange();
  void tally();
  void check_finite();
};

}    // namespace mofmd

#endif
