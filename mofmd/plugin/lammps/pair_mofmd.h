// The LAMMPS side: pair styles nequip, allegro, mace and sevennet are this one class with another
// family, pair_style mofmd is it with any.

#ifndef MOFMD_PAIR_MOFMD_H
#define MOFMD_PAIR_MOFMD_H

#include "density/density.h"
#include "exchange/exchange.h"
#include "exchange/ghost_routes.h"
#include "graph/graph.h"
#include "model/model.h"

#include "pair.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mofmd {

class PairMofmd : public LAMMPS_NS::Pair, private AtomCommunicator {
public:
  PairMofmd(LAMMPS_NS::LAMMPS *lmp, std::optional<Family> family);
  ~PairMofmd() override;

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  void finish() override;
  double memory_usage() override;
  void *extract(const char *name, int &dim) override;
  void *extract_peratom(const char *name, int &ncol) override;

  int pack_forward_comm(int n, int *list, double *buf, int pbc_flag, int *pbc) override;
  void unpack_forward_comm(int n, int first, double *buf) override;
  int pack_reverse_comm(int n, int first, double *buf) override;
  void unpack_reverse_comm(int n, int *list, double *buf) override;

private:
  // What LAMMPS's communication carries for us at the moment.
  enum class Message { owners, marks, forces, rows };

  // Where the pairs of atoms come from: made into edges on the host at each step, or held by the
  // device, from LAMMPS's neighbour list or found there; `fixed`: found there, in arrays of fixed
  // sizes.
  enum class PairsFrom { automatic, host, list, device, fixed };

  // Of the calls since the last report; model time without transfer and exchange.
  struct Timings {
    double graph = 0.0, transfer = 0.0, model = 0.0, exchange = 0.0, scatter = 0.0;    // s
    double first_call = 0.0;                                                           // s
    long calls = 0;    // after the first of all, which is reported apart
    ExchangeCounters exchanged;

    void add(const Timings &step);
  };

  const std::optional<Family> family_;    // of the style; none takes files of any
  const std::string style_;               // as in the input file: "pair_style allegro"
  DeviceRequest device_;
  std::string dtype_;    // to run the model in, or empty: that of the file
  int num_threads_ = 1;
  enum class Chunk { unset, none, fixed, automatic } chunking_ = Chunk::unset;
  std::int64_t chunk_ = 0;      // owned atoms per evaluation
  double energy_unit_ = 1.0;    // LAMMPS's energy unit per eV
  double list_range_ = 1.0;     // of pairs in LAMMPS's neighbour lists, in cutoffs of the model
  struct {
    double before = 0.0, now = -1.0;    // of the user's, and of this style; < 0: as it was
  } ghost_cutoff_;
  std::unique_ptr<Model> model_;
  TypeMap map_of_types_;
  PairsFrom pairs_ = PairsFrom::automatic;
  bool takes_list_ = true;
  bool records_ = false;    // steps of fixed shapes, as far as we know
  int fixed_calls_ = 0;     // since the model was read
  Graph graph_;
  Graph part_;                                 // of the graph, when it is evaluated in chunks
  std::unique_ptr<ResidentGraph> resident_;    // in place of both
  LAMMPS_NS::bigint lists_built_ = -1;         // by LAMMPS, when the atoms were looked at last
  GhostRoutes routes_;
  std::vector<std::int64_t> sent_nodes_;    // owned nodes that are ghosts elsewhere
  std::vector<int> owner_;                  // (nlocal + nghost) owned atom behind each ghost
  std::vector<double> atom_forces_;         // (nlocal + nghost, 3), with newton off
  Message message_ = Message::owners;
  AtomRows rows_;                       // of the exchange that is under way
  std::unique_ptr<Density> density_;    // of the features of atoms that the model knows
  int wants_novelty_ = 0;               // set by fix pair for the step to come
  std::vector<double> novelty_;         // (nlocal) score of each owned atom at the last such step
  Timings timings_;
  bool called_before_ = false;
  bool estimated_memory_ = false;
  std::string memory_failure_;
  bool warned_of_missing_virial_ = false;

  void fail_together(const std::string &message);
  void fail_alone(const std::string &message);
  void read_type_names(int narg, char **arg);
  void check_units_and_ids();
  void warn_of_masses();
  void report_model();
  bool ghosts_are_nodes() const;
  bool gives_edge_gradients() const;
  bool takes_part_in_exchange() const;
  bool evaluates_in_chunks() const;
  double bytes_beside_chunks() const;
  void size_communication();
  void reach_displaced_atoms();
  void restore_ghost_cutoff();
  double ghost_cutoff_for_all() const;
  void carry(const AtomRows &rows, int announced);
  void clear(const AtomRows &rows) const override;
  void copy_to_ghosts(const AtomRows &rows) override;
  void sum_from_ghosts(const AtomRows &rows) override;
  void find_owners();
  void find_routes();
  double *pack_row(int atom, double *buf) const;
  bool atoms_have_changed();
  void return_ghost_forces();
  void evaluate();
  void evaluate_without_recording(const std::string &why);
  void judge_recording(double model_seconds);
  Wanted wanted() const;
  void read_density();
  void require_density();
  void clear_novelty();
  void score(const Nodes &nodes, const Evaluation &evaluation);
  void evaluate_graph(Timings &step, int num_atoms);
  void evaluate_resident(Timings &step, int num_atoms);
  void choose_pairs();
  std::string why_not_fixed() const;
  const Nodes &nodes() const
  {
    if (resident_) return *resident_;
    return graph_;
  }
  std::string estimate_memory();
  int ranks_on_device() const;
  void check_request();
  std::string explain(const std::string &what) const;
  void account(Timings &step, const Evaluation &evaluation, const ExchangeCounters &exchanged,
               double seconds);
  void tally(const Nodes &nodes, const Evaluation &evaluation);
  void tally_edges(const Graph &graph, const double *edge_gradients, double *forces);
  void warn_of_missing_virial();
  void add_forces(const Nodes &nodes, const Evaluation &evaluation);
  void check_finite(const Nodes &nodes, const Evaluation &evaluation);
};

}    // namespace mofmd

#endif
