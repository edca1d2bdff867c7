// Registers the pair styles with LAMMPS's plugin loader.

#include "lammps/pair_d3.h"
#include "lammps/pair_mofmd.h"

#include "error.h"
#include "lammps.h"
#include "library.h"

#include <optional>
#include <string>

// LAMMPS's plugin interface: a plain C contract, documented in its developer guide ("Writing
// plugins"). The header that declares it is not installed with LAMMPS.
extern "C" {
using lammpsplugin_factory1 = void *(void *lmp);
using lammpsplugin_factory2 = void *(void *lmp, int narg, char **arg);

struct lammpsplugin_t {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;
    lammpsplugin_factory2 *v2;
  } creator;
  void *handle;
};

using lammpsplugin_regfunc = void(lammpsplugin_t *plugin, void *lmp);
}

namespace {

using LAMMPS_NS::LAMMPS;

constexpr const char *MODEL = "mofmd " MOFMD_VERSION ": machine-learned potential on libtorch";

// The plugin calls C++ of LAMMPS and torch directly: both must be what it was compiled against.
void check_versions(LAMMPS *lmp)
{
  const int lammps_found = lammps_version(lmp);
  if (lammps_found != MOFMD_LAMMPS_VERSION)
    lmp->error->all(FLERR, "mofmd's plugin was built for LAMMPS " +
                               std::to_string(MOFMD_LAMMPS_VERSION) + ", this is LAMMPS " +
                               std::to_string(lammps_found) + ": run `mofmd build`");
  const std::string torch_found = mofmd::loaded_torch_version();
  if (torch_found != MOFMD_TORCH_VERSION)
    lmp->error->all(FLERR, "mofmd's plugin was built for torch " MOFMD_TORCH_VERSION
                           ", the torch that is loaded is " +
                               torch_found + ": run `mofmd build`");
}

void *create_for(void *handle, std::optional<mofmd::Family> family)
{
  auto *const lmp = static_cast<LAMMPS *>(handle);
  check_versions(lmp);
  return static_cast<LAMMPS_NS::Pair *>(new mofmd::PairMofmd(lmp, family));    // LAMMPS deletes it
}

template <mofmd::Family family> void *create(void *handle)
{
  return create_for(handle, family);
}

void *create_for_any(void *handle)
{
  return create_for(handle, std::nullopt);
}

void *create_d3(void *handle)
{
  auto *const lmp = static_cast<LAMMPS *>(handle);
  check_versions(lmp);
  return static_cast<LAMMPS_NS::Pair *>(new mofmd::PairD3(lmp));    // LAMMPS deletes it
}

}    // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle,
                                                                         void *regfunc)
{
  const struct {
    const char *name, *info;
    lammpsplugin_factory1 *create;
  } styles[] = {
      {mofmd::family_name(mofmd::Family::nequip), MODEL, create<mofmd::Family::nequip>},
      {mofmd::family_name(mofmd::Family::allegro), MODEL, create<mofmd::Family::allegro>},
      {mofmd::family_name(mofmd::Family::mace), MODEL, create<mofmd::Family::mace>},
      {mofmd::family_name(mofmd::Family::sevennet), MODEL, create<mofmd::Family::sevennet>},
      {"mofmd", MODEL, create_for_any},
      {"d3", "mofmd " MOFMD_VERSION ": D3 dispersion", create_d3}};
  for (const auto &style : styles) {
    lammpsplugin_t plugin{};
    plugin.version = static_cast<LAMMPS *>(lmp)->version;
    plugin.style = "pair";
    plugin.name = style.name;
    plugin.info = style.info;
    plugin.author = "the mofmd developers";
    plugin.creator.v1 = style.create;
    plugin.handle = handle;
    reinterpret_cast<lammpsplugin_regfunc *>(regfunc)(&plugin, lmp);
  }
}
