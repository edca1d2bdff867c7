// What a model file says of itself, checked before anything in it runs; then the right loader.

#include "base/citations.h"
#include "base/json_strings.h"
#include "base/numbers.h"
#include "base/reason.h"
#include "exchange/exchange.h"
#include "gpu/placement.h"
#include "model/archive.h"
#include "model/torch_model.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>
#include <torch/version.h>

// What torch says of the memory of any accelerator: since 2.10.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 10)
#include <ATen/DeviceAccelerator.h>
#define MOFMD_HAS_DEVICE_MEMORY 1
#endif

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <optional>
#include <sstream>
#include <sys/utsname.h>

namespace mofmd {

const char *family_name(Family family)
{
  switch (family) {
  case Family::nequip: return "nequip";
  case Family::allegro: return "allegro";
  case Family::mace: return "mace";
  default: return "sevennet";
  }
}

static constexpr Family all_families[] = {Family::nequip, Family::allegro, Family::mace,
                                          Family::sevennet};

Family family_of_name(const std::string &name)
{
  for (const Family family : all_families)
    if (name == family_name(family)) return family;
  throw ModelError("there is no family of models '" + name +
                   "': it is nequip, allegro, mace or sevennet");
}

void check_dtype(const ModelInfo &info, const std::string &wanted)
{
  if (info.dtype == "float64" && wanted == "float32")
    throw ModelError("the model file '" + info.path +
                     "' is in float64 and cannot be run in float32: deploy it again with --dtype "
                     "float32");
}

namespace {

  const char *citation(Family family)
  {
    switch (family) {
    case Family::nequip: return NEQUIP_CITATION;
    case Family::allegro: return ALLEGRO_CITATION;
    case Family::mace: return MACE_CITATION;
    default: return SEVENNET_CITATION;
    }
  }

  [[noreturn]] void refuse(const std::string &path, const std::string &key, const std::string &text,
                           const std::string &expected)
  {
    throw ModelError("the model file '" + path + "' records " + key + " as '" + text +
                     "', expected " + expected + ": copy it again from its source, or deploy it " +
                     "again");
  }

  double positive(const std::string &text, const std::string &key, const std::string &path)
  {
    const std::optional<double> value = read_number<double>(text);
    if (!value || !std::isfinite(*value) || *value <= 0.0)
      refuse(path, key, text, "a positive number");
    return *value;
  }

  int count(const Archive &archive, const std::string &key, const std::string &path)
  {
    const std::optional<int> value = read_number<int>(archive.get(key));
    if (!value || *value < 0) refuse(path, key, archive.get(key), "a count");
    return *value;
  }

  // Which pair style a file belongs to, from what is in the archive.
  Family file_family(const Archive &archive, const std::string &path)
  {
    if (archive.has("mofmd_family")) {
      const std::string name = archive.get("mofmd_family");
      for (const Family family : all_families)
        if (name == family_name(family)) return family;
      throw ModelError("the model file '" + path + "' is of the family '" + name +
                       "', which this version of mofmd does not know: update mofmd");
    }
    if (archive.is_aotinductor()) {
      if (!archive.has("nequip_aoti_inputs"))
        throw ModelError("the AOTInductor package '" + path +
                         "' was not written by nequip-compile or mofmd");
      return archive.get("nequip_aoti_inputs").find("cell") == std::string::npos ? Family::allegro
                                                                                 : Family::nequip;
    }
    if (archive.has_code_of("mace")) return Family::mace;
    if (archive.has_code_of("allegro")) return Family::allegro;
    if (archive.has_code_of("nequip")) return Family::nequip;
    if (archive.has_code_of("sevenn"))
      throw ModelError("the model file '" + path +
                       "' was deployed by SevenNet for its own pair style e3gnn: give its "
                       "checkpoint to `mofmd deploy`");
    throw ModelError("the model file '" + path +
                     "' holds no NequIP, Allegro, MACE or SevenNet model deployed for LAMMPS (a "
                     "checkpoint or a training file must be deployed first)");
  }

  // The family of a file for a pair style of one family, or of all.
  Family check_family(const Archive &archive, const std::string &path, std::optional<Family> style)
  {
    const Family found = file_family(archive, path);
    if (!style && !archive.has("mofmd_family"))
      throw ModelError("the model file '" + path +
                       "' was not written by `mofmd deploy`: use pair_style " + family_name(found) +
                       ", or deploy the model that it was made from");
    if (!style || found == *style) return found;
    throw ModelError("the model file '" + path + "' is of the family " + family_name(found) +
                     (archive.is_aotinductor() ? " (as compiled)" : "") + ": use pair_style " +
                     family_name(found) + ", not pair_style " + family_name(*style));
  }

  // Torch counts them in a signed char.
  int gpus_seen()
  {
    return static_cast<unsigned char>(torch::cuda::device_count());
  }

  std::string choose_device(const DeviceRequest &request, const Archive &archive,
                            const std::string &path)
  {
    std::string wanted = request.name;
    if (archive.is_aotinductor()) {
      const std::string kind = wanted.substr(0, wanted.find(':'));
      const std::string compiled =
          archive.has("AOTI_DEVICE_KEY") ? archive.get("AOTI_DEVICE_KEY") : "cpu";
      if (kind != "auto" && kind != compiled)
        throw ModelError("the model file '" + path + "' was compiled for the device " + compiled +
                         ", not " + kind + ": compile it again with --device " + kind);
      if (wanted == "auto") wanted = compiled;
    }
    return find_device({wanted, request.rank_on_node});
  }

  // A package compiled for another processor dies of an illegal instruction: refuse it instead.
  void check_processor(const Archive &archive, const std::string &path)
  {
    utsname machine{};
    uname(&machine);
    if (archive.has("AOTI_MACHINE") && archive.get("AOTI_MACHINE") != machine.machine)
      throw ModelError("the model file '" + path + "' was compiled for " +
                       archive.get("AOTI_MACHINE") + ", this machine is " + machine.machine +
                       ": compile it again here");
#if defined(__x86_64__)
    const std::string isa = archive.has("AOTI_CPU_ISA") ? archive.get("AOTI_CPU_ISA") : "";
    const bool lacks_avx512 =
        isa.find("AVX512") != std::string::npos && !__builtin_cpu_supports("avx512f");
    const bool lacks_avx2 =
        isa.find("AVX2") != std::string::npos && !__builtin_cpu_supports("avx2");
    if (lacks_avx512 || lacks_avx2)
      throw ModelError("the model file '" + path + "' was compiled for a processor with " + isa +
                       ", which this one lacks: compile it again here");
#endif
  }

  std::string minor_version(const std::string &version)    // "2.13" of "2.13.0"
  {
    return version.substr(0, version.find('.', version.find('.') + 1));
  }

  // Compiled code calls torch's internals, which change from one minor version to the next.
  void check_torch(const Archive &archive, const std::string &path)
  {
    const std::string compiled =
        archive.has("mofmd_torch_version") ? archive.get("mofmd_torch_version") : "";
    if (compiled.empty() || minor_version(compiled) == minor_version(loaded_torch_version()))
      return;
    throw ModelError("the model file '" + path + "' was compiled with torch " + compiled +
                     ", this is torch " + loaded_torch_version() +
                     ": deploy it again with this torch, or as TorchScript");
  }

  void read_types_and_cutoffs(ModelInfo &info, const Archive &archive)
  {
    std::istringstream names(archive.get("type_names"));
    for (std::string name; names >> name;) info.type_names.push_back(name);
    const int num_types = static_cast<int>(info.type_names.size());
    if (num_types == 0) refuse(info.path, "type_names", archive.get("type_names"), "names");
    if (archive.has("num_types") && count(archive, "num_types", info.path) != num_types)
      refuse(info.path, "num_types", archive.get("num_types"),
             std::to_string(num_types) + ", as it names " + archive.get("type_names"));
    info.r_max = positive(archive.get("r_max"), "r_max", info.path);
    if (!archive.has("per_edge_type_cutoff")) return;
    std::istringstream cutoffs(archive.get("per_edge_type_cutoff"));
    for (std::string word; cutoffs >> word;)
      info.cutoffs.push_back(positive(word, "per_edge_type_cutoff", info.path));
    for (const double cutoff : info.cutoffs)
      if (cutoff > info.r_max * (1.0 + 1e-6))    // r_max may have been rounded to float32
        refuse(info.path, "per_edge_type_cutoff", to_text(cutoff),
               "no more than r_max, which is " + to_text(info.r_max));
    const std::size_t expected = info.type_names.size() * info.type_names.size();
    if (!info.cutoffs.empty() && info.cutoffs.size() != expected)
      throw ModelError("the model file '" + info.path + "' records " +
                       std::to_string(info.cutoffs.size()) +
                       " cutoffs per pair of types, expected " + std::to_string(expected));
  }

  // Files of nequip 0.5 and 0.6 record their dtype in the training configuration (YAML) only.
  void read_dtype(ModelInfo &info, const Archive &archive)
  {
    if (archive.has("model_dtype")) {
      info.dtype = archive.get("model_dtype");
      if (info.dtype != "float32" && info.dtype != "float64")
        refuse(info.path, "model_dtype", info.dtype, "float32 or float64");
      return;
    }
    const std::string config = archive.has("config") ? archive.get("config") : "";
    info.float32_inputs = config.find("default_dtype: float64") == std::string::npos;
    info.dtype = info.float32_inputs ? "float32" : "float64";
  }

  // A density of features that `mofmd learn density fit` put into the file, and the hash by which
  // it knows its model.
  void read_density(ModelInfo &info, const Archive &archive)
  {
    info.density = archive.get("mofmd_density");
    try {
      for (const auto &[name, text] : json_strings(archive.get("mofmd.json")))
        if (name == "payload_sha256") info.payload_sha256 = text;
    } catch (const std::invalid_argument &error) {
      throw ModelError("the manifest of the model file '" + info.path + "' is damaged (" +
                       error.what() + "): copy it again from its source, or deploy it again");
    }
  }

  // What `mofmd deploy` records beside nequip's own keys.
  void read_form(ModelInfo &info, const Archive &archive)
  {
    if (archive.get("mofmd_form") != "edge_gradients")
      throw ModelError("the model file '" + info.path + "' is of the form '" +
                       archive.get("mofmd_form") +
                       "', which this version of mofmd does not know: update mofmd");
    info.form = Form::edge_gradients;
    const std::string verdict =
        archive.has("mofmd_verified") ? archive.get("mofmd_verified") : "passed";
    if (verdict != "passed" && verdict != "failed")
      refuse(info.path, "mofmd_verified", verdict, "passed or failed");
    info.verified = verdict == "passed";
    if (archive.has("mofmd_bytes_per_edge")) {
      const std::string text = archive.get("mofmd_bytes_per_edge");
      const std::optional<double> bytes = read_number<double>(text);
      if (!bytes || !std::isfinite(*bytes))
        refuse(info.path, "mofmd_bytes_per_edge", text, "a number");
      info.bytes_per_edge = *bytes;
    }
    info.gives_features = !archive.is_aotinductor();
    if (archive.has("mofmd_density")) read_density(info, archive);
    if (!archive.has("mofmd_exchange_width")) return;
    info.exchange_width = count(archive, "mofmd_exchange_width", info.path);
    info.exchanges = info.exchange_width > 0;
    info.strictly_local = !info.exchanges;
    if (!info.exchanges) return;
    if (archive.has("mofmd_layers")) info.layers = count(archive, "mofmd_layers", info.path);
    info.cuts_layers = info.layers > 0 && !archive.is_aotinductor();
  }

  // Runs a network in float64 that was deployed in float32. What the file says of its memory is of
  // the latter.
  void take_dtype(ModelInfo &info, const std::string &dtype, const Archive &archive)
  {
    if (dtype.empty() || dtype == info.dtype) return;
    check_dtype(info, dtype);
    if (archive.is_aotinductor())
      throw ModelError("the model file '" + info.path + "' was compiled in " + info.dtype +
                       " and cannot be run in " + dtype + ": deploy it again with --dtype " +
                       dtype + ", or as TorchScript");
    info.bytes_per_edge *= 2.0;
    info.float32_inputs = false;
    info.dtype = dtype;
    info.converted = true;
  }

  // Files in nequip's own format, and those of `mofmd deploy` for any family.
  std::unique_ptr<Model> load_described(ModelInfo info, const Archive &archive,
                                        const std::string &dtype)
  {
    read_types_and_cutoffs(info, archive);
    read_dtype(info, archive);
    info.strictly_local = info.family == Family::allegro;
    if (archive.has("mofmd_form")) read_form(info, archive);
    take_dtype(info, dtype, archive);
    if (!archive.is_aotinductor()) return load_torchscript(std::move(info));
    check_processor(archive, info.path);
    check_torch(archive, info.path);
    const std::string writer = archive.has("mofmd_form") ? "mofmd" : "nequip";
    const std::string inputs = archive.get(writer + "_aoti_inputs");
    if (writer == "nequip" && inputs.find("cell") == std::string::npos) info.form = Form::positions;
    return load_aotinductor(std::move(info), inputs, archive.get(writer + "_aoti_outputs"));
  }

  struct Trial {
    double energy_of_first;
    bool exchanges;    // asked for features of other atoms
  };

  // Three atoms of one type in a row, C out of A's sight.
  //
  //     A o------o B------o C         A-B and B-C: 0.6 r_max
  Trial evaluate_row(Model &model, std::int64_t type, bool third_is_bonded)
  {
    const ModelInfo &info = model.info();
    const auto num_types = static_cast<std::int64_t>(info.type_names.size());
    const double d =
        0.6 * (info.cutoffs.empty() ? info.r_max : info.cutoffs[type * num_types + type]);
    Graph graph;
    graph.num_nodes = graph.num_local_nodes = 3;
    graph.node_atom = {0, 1, 2};
    graph.types = {type, type, type};
    graph.positions = {0, 0, 0, d, 0, 0, 2 * d, 0, 0};
    graph.num_edges = third_is_bonded ? 4 : 2;
    graph.edge_index = third_is_bonded ? std::vector<std::int64_t>{0, 1, 1, 2, 1, 0, 2, 1}
                                       : std::vector<std::int64_t>{0, 1, 1, 0};
    graph.edge_vectors = {d, 0, 0, -d, 0, 0};
    if (third_is_bonded) graph.edge_vectors.insert(graph.edge_vectors.end(), {d, 0, 0, -d, 0, 0});
    const std::vector<std::int64_t> sent;
    const ExchangeScope exchange(graph, 3, sent, /*communicator=*/nullptr);
    const double energy = model.evaluate(graph, Wanted{}).node_energies[0];
    return {energy, exchange.counters().forward_calls > 0};
  }

  // True when the energy of A feels the bond B-C: the model passes messages between atoms, and
  // evaluating it with ghost atoms as plain nodes would be wrong.
  bool passes_messages(Model &model, std::int64_t type)
  {
    const Trial bonded = evaluate_row(model, type, true), alone = evaluate_row(model, type, false);
    const double change = std::abs(bonded.energy_of_first - alone.energy_of_first);
    return bonded.exchanges || !(change <= 2e-6 * std::max(1.0, std::abs(alone.energy_of_first)));
  }

  // A first evaluation shows that the file runs at all; what claims to be strictly local is tried
  // with each of its types.
  void try_out(Model &model)
  {
    const ModelInfo &info = model.info();
    const auto num_types = static_cast<std::int64_t>(info.type_names.size());
    for (std::int64_t type = 0; type < (info.strictly_local ? num_types : 1); ++type)
      if (passes_messages(model, type) && info.strictly_local)
        throw ModelError(
            "the model file '" + info.path +
            "' passes messages between atoms (the energy of an atom depends on atoms beyond " +
            "r_max), " +
            (info.form == Form::edge_gradients
                 ? "but records that it is strictly local: deploy it again"
                 : "so it cannot run with ghost atoms as pair_style allegro does: compile it for "
                   "pair_style nequip"));
  }

}    // namespace

#if MOFMD_HAS_DEVICE_MEMORY
namespace {

  // What the driver has left, and what torch holds without using it.
  double free_device_memory(c10::DeviceIndex index)
  {
    using c10::CachingAllocator::StatType;
    const auto total = static_cast<std::size_t>(StatType::AGGREGATE);
    const auto stats = at::accelerator::getDeviceStats(index);
    return static_cast<double>(at::accelerator::getMemoryInfo(index).first) +
           static_cast<double>(stats.reserved_bytes[total].current -
                               stats.allocated_bytes[total].current);
  }

}    // namespace

DeviceMemory peak_device_memory(const std::string &device)
{
  const torch::Device where = torch_device(device);
  if (where.is_cpu()) return {};
  constexpr auto total = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto stats = at::accelerator::getDeviceStats(where.index());
  return {static_cast<double>(stats.allocated_bytes[total].peak),
          static_cast<double>(stats.reserved_bytes[total].peak)};
}
#else
namespace {

  double free_device_memory(c10::DeviceIndex)
  {
    return 0.0;
  }    // torch's allocator tells when out

}    // namespace

DeviceMemory peak_device_memory(const std::string &)
{
  return {};
}
#endif

double free_memory(const std::string &device)
{
  const torch::Device where = torch_device(device);
  if (!where.is_cpu()) return free_device_memory(where.index());
  std::ifstream file("/proc/meminfo");
  for (std::string name, kibibytes, unit; file >> name >> kibibytes && std::getline(file, unit);)
    if (name == "MemAvailable:") return 1024.0 * read_number<double>(kibibytes).value_or(0.0);
  return 0.0;
}

std::string find_device(const DeviceRequest &request)
{
  std::string wanted = request.name;
  if (wanted == "auto") wanted = torch::cuda::is_available() ? "cuda" : "cpu";
  if (wanted == "cpu") return wanted;
  if (!torch::cuda::is_available())
    throw ModelError(
        "a GPU is asked for, but torch " + loaded_torch_version() +
        " sees none (a build of torch without CUDA, no driver, or CUDA_VISIBLE_DEVICES hides "
        "it): use a model and `device cpu` for the CPU, or see `mofmd doctor`");
  try {
    return gpu_of_rank(wanted, request.rank_on_node, gpus_seen());
  } catch (const std::invalid_argument &error) {
    throw ModelError(error.what());
  }
}

std::string loaded_torch_version()
{
  const std::string config = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const std::size_t start = config.find(key);
  if (start == std::string::npos) return "unknown";
  return config.substr(start + key.size(), config.find(',', start) - start - key.size());
}

// A step frees megabytes that the next one asks for again. glibc hands such blocks back to the
// system and fetches them anew, page by page: a fifth to a third of a step on a CPU. What the
// user's environment says of its thresholds stands.
void keep_freed_memory()
{
#ifdef __GLIBC__
  constexpr int LARGEST_THRESHOLD = 32 << 20;    // that glibc accepts
  if (!std::getenv("MALLOC_MMAP_THRESHOLD_")) mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD);
  if (!std::getenv("MALLOC_TRIM_THRESHOLD_"))
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

int set_threads_per_rank()
{
  const int threads = count_in_environment("OMP_NUM_THREADS", 1).value_or(1);
  at::set_num_threads(threads);
  return threads;
}

std::unique_ptr<Model> load_model(const std::string &path, std::optional<Family> style,
                                  const DeviceRequest &device, const std::string &dtype)
{
  const Archive archive(path);
  const Family family = check_family(archive, path, style);
  ModelInfo info;
  info.path = path;
  info.family = family;
  info.format = archive.is_aotinductor() ? "AOTInductor" : "TorchScript";
  info.citation = citation(family);
  if (archive.has("mofmd_citation")) info.model_citation = archive.get("mofmd_citation");
  info.device = choose_device(device, archive, path);
  info.num_gpus = gpus_seen();
  std::unique_ptr<Model> model;
  const auto cannot_run = [&path, &dtype](const std::string &reason) {
    return ModelError(
        "torch " + loaded_torch_version() + " cannot run the model file '" + path + "'" +
        (dtype.empty() ? "" : " in " + dtype) + ": " + reason +
        " (if another version of torch wrote the file, deploy it again with this one)");
  };
  try {
    const bool is_upstream_mace = family == Family::mace && !archive.has("mofmd_form");
    model = is_upstream_mace ? load_mace(std::move(info), dtype)
                             : load_described(std::move(info), archive, dtype);
    try_out(*model);
  } catch (const ModelError &) {
    throw;
  } catch (const std::exception &error) {
    throw cannot_run(reason_of(error.what()));
  }
  return model;
}

}    // namespace mofmd
