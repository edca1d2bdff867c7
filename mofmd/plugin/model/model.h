// A trained model as LAMMPS sees it: what the file says of itself, and one call that evaluates it.
// Free of torch's headers, so that only the files that need torch pay for it.

#ifndef MOFMD_MODEL_H
#define MOFMD_MODEL_H

#include "base/model_error.h"
#include "graph/graph.h"
#include "graph/resident_graph.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mofmd {

enum class Family { nequip, allegro, mace, sevennet };

const char *family_name(Family family);

// How a model wants the graph and what it gives back.
enum class Form {
  displaced,        // positions plus a displacement per edge; gives forces and virial
  positions,        // positions of owned and ghost atoms; gives forces and virial
  edge_gradients    // edge vectors; gives dE/dr_ij, from which everything follows
};

struct ModelInfo {
  std::string path;
  std::string format;    // "TorchScript" or "AOTInductor"
  Family family = Family::nequip;
  Form form = Form::displaced;
  bool strictly_local = false;    // energies depend on atoms within r_max only: any rank count
  bool exchanges = false;         // fetches features of ghost atoms itself: any rank count
  int exchange_width = 0;         // most features per atom that it fetches at once
  int layers = 0;                 // of message passing, each sees r_max further; 0: not known
  bool cuts_layers = false;       // evaluates its layers in chunks itself
  double bytes_per_edge = 0.0;    // of an evaluation, as measured; 0: not known
  bool verified = true;           // false: deployed in spite of a failed check of its physics
  bool gives_features = false;    // of its atoms, on request
  std::string density;           // of features of atoms that it knows: what its file says, or empty
  std::string payload_sha256;    // of the model inside; empty where the file has no manifest
  std::vector<std::string> type_names;
  double r_max = 0.0;             // A
  std::vector<double> cutoffs;    // (types^2) [centre][neighbour] in A, each <= r_max
  std::string dtype;              // "float32" or "float64": precision of the network
  bool converted = false;         // the file is of another precision than dtype
  bool float32_inputs = false;    // files of nequip 0.5 and 0.6 take the dtype of the network
  std::string device;             // "cpu" or "cuda:1"
  int num_gpus = 0;               // that this process sees
  std::string citation;           // of the family, BibTeX for LAMMPS's citation log
  std::string model_citation;     // of this model, what its file says; may be empty
};

// Views into memory of the model, valid until the next evaluation. eV and A.
struct Evaluation {
  const double *node_energies = nullptr;     // (num_nodes)
  const double *forces = nullptr;            // (num_nodes, 3) -dE/dx, or null
  const double *virial = nullptr;            // (3, 3) -dE/d(strain), LAMMPS's sign, or null
  const double *edge_gradients = nullptr;    // (num_edges, 3) dE/dr_ij, or null
  const Graph *graph = nullptr;              // whose edges they are for
  const double *node_virials = nullptr;      // (num_local_nodes, 6) xx yy zz xy xz yz, or null
  const double *features = nullptr;          // (num_local_nodes, num_features), or null
  std::int64_t num_features = 0;
  double transfer_seconds = 0.0;    // inputs to the device and results from it
};

// What an evaluation is for, beside energies and forces.
struct Wanted {
  bool virial = false;
  bool node_virials = false;    // only files in mofmd's edge-gradient form have them
  // What the model has made of the surroundings of each owned node before it takes the energy of
  // them; only files that say so give them. Forces are the same to the last bit with and without.
  bool features = false;
};

// On a CPU the parts of a strictly local model cost nothing, and stay nearer to the caches.
constexpr std::int64_t CPU_CHUNK = 1000;    // owned atoms

class Model {
public:
  virtual ~Model() = default;
  const ModelInfo &info() const { return info_; }

  // With chunk > 0 a model with layers evaluates them for that many centres at a time, in less
  // memory. Throws std::exception when the model does.
  virtual Evaluation evaluate(const Graph &graph, const Wanted &wanted, std::int64_t chunk = 0) = 0;

  // The same on a graph of the model's device. Edge gradients become forces and virials there;
  // a strictly local model takes `chunk` owned nodes at a time as well.
  virtual Evaluation evaluate(ResidentGraph &graph, const Wanted &wanted,
                              std::int64_t chunk = 0) = 0;

protected:
  explicit Model(ModelInfo info) : info_(std::move(info)) {}
  ModelInfo info_;
};

// Where models run: "auto", "cpu", "cuda" or "cuda:1"; rank_on_node picks among several GPUs.
struct DeviceRequest {
  std::string name = "auto";
  int rank_on_node = 0;
};

// The device of this rank: "cpu", or a GPU with its number. Throws ModelError when there is none.
std::string find_device(const DeviceRequest &request);

// Memory that is free where the model runs, in bytes; 0 when that cannot be told.
double free_memory(const std::string &device);

// Most memory of a GPU that torch has used at once, and that it has held, in bytes; 0 on a CPU, or
// where torch is older.
struct DeviceMemory {
  double used = 0.0, held = 0.0;
};
DeviceMemory peak_device_memory(const std::string &device);

// The family of this name. Throws ModelError.
Family family_of_name(const std::string &name);

// Reads the file and checks that it is a model of this family that this build of torch can run;
// without one it is of any family, and written by `mofmd deploy`. `dtype`: "float64" to run a model
// in float32 in that precision, empty for that of the file; both may be named where the file is of
// it. Throws ModelError.
std::unique_ptr<Model> load_model(const std::string &path, std::optional<Family> family,
                                  const DeviceRequest &device, const std::string &dtype = "");

// Version of the torch library that is loaded, as "2.13.0".
std::string loaded_torch_version();

// Lets this process keep memory that tensors have freed, for the tensors of the next step.
void keep_freed_memory();

// Threads that torch uses within one rank: OMP_NUM_THREADS where it is set, otherwise one. Throws
// std::invalid_argument when it is no number.
int set_threads_per_rank();

}    // namespace mofmd

#endif
