// What travels between atoms and their ghosts: indices of owners, forces, and features of models.
// LAMMPS's own communication carries it, so that any grid, any cell and any boundary is right.

#include "lammps/pair_mofmd.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "input.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;

namespace mofmd {

// A rank without atoms takes part as well: all ranks fetch and sum together.
bool PairMofmd::takes_part_in_exchange() const
{
  return comm->nprocs > 1 && model_->info().exchanges;
}

// LAMMPS sizes its buffers before a run by what a pair style announces, in doubles per atom.
void PairMofmd::size_communication()
{
  const bool exchanges = model_ && model_->info().exchanges;
  const int floats_per_double = exchanges && model_->info().dtype == "float32" ? 2 : 1;
  const int width = exchanges ? model_->info().exchange_width : 0;
  const int doubles = (width + floats_per_double - 1) / floats_per_double;
  comm_forward = std::max(1, doubles);                       // owners, rows
  comm_reverse = comm_reverse_off = std::max(3, doubles);    // forces with newton off, rows
  // Within hybrid, LAMMPS asks the hybrid style, which asked us before the model was known.
  if (!force->pair || force->pair == this) return;
  force->pair->comm_forward = std::max(force->pair->comm_forward, comm_forward);
  force->pair->comm_reverse = std::max(force->pair->comm_reverse, comm_reverse);
  force->pair->comm_reverse_off = std::max(force->pair->comm_reverse_off, comm_reverse_off);
}

void PairMofmd::clear(const AtomRows &rows) const
{
  routes_.for_all(
      [&rows](int i) { std::fill_n(rows.data + rows.row_bytes * i, rows.row_bytes, char(0)); });
}

// LAMMPS's dynamical_matrix and third_order displace atoms one by one. A rank takes the forces on
// its atoms down only if it knows the displaced ones, as its own or as ghosts; all other elements
// are zero without a word. An atom's energy feels what is within `layers` cutoffs, so that a force
// feels atoms twice as far away, beyond the ghosts that a run needs. And third_order displaces only
// pairs that LAMMPS's neighbour lists join in two steps, of which each has to be as long as an
// energy's sight.
void PairMofmd::reach_displaced_atoms()
{
  restore_ghost_cutoff();
  list_range_ = 1.0;
  const std::string command = input->command ? input->command : "";
  const bool needs_lists = command == "third_order";
  const bool needs_ghosts = (needs_lists || command == "dynamical_matrix") && comm->nprocs > 1;
  if (!needs_lists && !needs_ghosts) return;
  const ModelInfo &info = model_->info();
  const int layers = info.strictly_local ? 1 : info.layers;
  if (layers == 0)
    error->all(FLERR,
               fmt::format("{}: {} needs to know how far the model '{}' sees, which files of "
                           "`mofmd deploy` record: deploy it",
                           style_, command, info.path));
  if (needs_lists) list_range_ = layers;
  if (!needs_ghosts) return;
  if (comm->mode != Comm::SINGLE)
    error->all(FLERR, fmt::format("{}: {} on several ranks needs 'comm_modify mode single'", style_,
                                  command));
  const double cutoff =
      std::min(2.0 * layers * info.r_max + neighbor->skin, ghost_cutoff_for_all());
  if (cutoff <= comm->cutghostuser) return;
  ghost_cutoff_ = {comm->cutghostuser, cutoff};
  comm->cutghostuser = cutoff;
  if (comm->me == 0)
    utils::logmesg(lmp, "{}: ghosts to {:.2f} A, as far as forces feel an atom, for {}\n", style_,
                   cutoff, command);
}

void PairMofmd::restore_ghost_cutoff()
{
  // unless the user has set another one in the meantime
  if (ghost_cutoff_.now >= 0.0 && comm->cutghostuser == ghost_cutoff_.now)
    comm->cutghostuser = ghost_cutoff_.before;
  ghost_cutoff_.now = -1.0;
}

// With ghosts that far each rank knows every atom: half of the box in a direction that is periodic.
double PairMofmd::ghost_cutoff_for_all() const
{
  const double *const h = domain->h_inv;    // rows of the inverse cell: xx yy zz yz xz xy
  const double heights[3] = {1.0 / std::sqrt(h[0] * h[0] + h[5] * h[5] + h[4] * h[4]),
                             1.0 / std::sqrt(h[1] * h[1] + h[3] * h[3]), 1.0 / h[2]};
  double cutoff = 0.0;
  for (int d = 0; d < 3; ++d)
    cutoff = std::max(cutoff, heights[d] * (domain->periodicity[d] ? 0.5 : 1.0));
  return cutoff;
}

// LAMMPS's buffers are as long as was announced. A file that says too little would write past them.
void PairMofmd::carry(const AtomRows &rows, int announced)
{
  if (rows.row_doubles() > static_cast<std::size_t>(announced))
    throw ModelError(
        fmt::format("the model exchanges {} bytes per atom between ranks, but its file "
                    "'{}' records a mofmd_exchange_width of {} features: deploy it again",
                    rows.row_bytes, model_->info().path, model_->info().exchange_width));
  rows_ = rows;
  message_ = Message::rows;
}

void PairMofmd::copy_to_ghosts(const AtomRows &rows)
{
  carry(rows, comm_forward);
  comm->forward_comm(this, static_cast<int>(rows.row_doubles()));
}

void PairMofmd::sum_from_ghosts(const AtomRows &rows)
{
  carry(rows, comm_reverse);
  comm->reverse_comm(this, static_cast<int>(rows.row_doubles()));
}

// Whether LAMMPS has made new neighbour lists, and with them new ghosts, since the last look.
bool PairMofmd::atoms_have_changed()
{
  const bool changed = neighbor->ago == 0 || lists_built_ != neighbor->ncalls;
  lists_built_ = neighbor->ncalls;
  return changed;
}

// Each atom's index carried to its ghosts: right for ids with gaps.
void PairMofmd::find_owners()
{
  owner_.resize(atom->nlocal + atom->nghost);
  for (int i = 0; i < atom->nlocal; ++i) owner_[i] = i;
  message_ = Message::owners;
  comm->forward_comm(this, /*size=*/1);
}

// Which ghosts the graph needs here, and by that which owned atoms other ranks need.
void PairMofmd::find_routes()
{
  routes_.clear(atom->nlocal + atom->nghost);
  if (resident_) {
    for (const int i : resident_->node_atom)
      if (i >= atom->nlocal) routes_.mark(i);
  } else
    for (int ii = 0; ii < list->inum; ++ii) {
      const int i = list->ilist[ii];
      if (map_of_types_.model_type[atom->type[i]] < 0) continue;
      for (int jj = 0; jj < list->numneigh[i]; ++jj) {
        const int j = list->firstneigh[i][jj] & NEIGHMASK;
        if (j >= atom->nlocal && map_of_types_.model_type[atom->type[j]] >= 0) routes_.mark(j);
      }
    }
  message_ = Message::marks;
  comm->reverse_comm(this, /*size=*/1);
  sent_nodes_.clear();
  std::int64_t node = 0;
  for (int i = 0; i < atom->nlocal; ++i) {
    if (map_of_types_.model_type[atom->type[i]] < 0) continue;
    if (routes_.is_marked(i)) sent_nodes_.push_back(node);
    ++node;
  }
}

// With newton off LAMMPS leaves the forces on ghosts to us.
void PairMofmd::return_ghost_forces()
{
  message_ = Message::forces;
  comm->reverse_comm(this, /*size=*/3);    // without a size, comm_style tiled forgets newton off
  for (int i = 0; i < atom->nlocal; ++i)
    for (int d = 0; d < 3; ++d) atom->f[i][d] += atom_forces_[3 * static_cast<std::size_t>(i) + d];
}

double *PairMofmd::pack_row(int atom, double *buf) const
{
  std::memcpy(buf, rows_.data + rows_.row_bytes * atom, rows_.row_bytes);
  return buf + rows_.row_doubles();
}

int PairMofmd::pack_forward_comm(int n, int *list, double *buf, int /*pbc_flag*/, int * /*pbc*/)
{
  if (message_ == Message::owners) {
    for (int k = 0; k < n; ++k) buf[k] = owner_[list[k]];
    return n;
  }
  double *at = buf;
  for (const int i : routes_.sent(list)) at = pack_row(i, at);
  return static_cast<int>(at - buf);
}

void PairMofmd::unpack_forward_comm(int n, int first, double *buf)
{
  if (message_ == Message::owners) {
    for (int k = 0; k < n; ++k) owner_[first + k] = static_cast<int>(buf[k]);
    return;
  }
  routes_.for_received(n, first, [&](int i) {
    std::memcpy(rows_.data + rows_.row_bytes * i, buf, rows_.row_bytes);
    buf += rows_.row_doubles();
  });
}

int PairMofmd::pack_reverse_comm(int n, int first, double *buf)
{
  if (message_ == Message::forces) {
    const double *const begin = atom_forces_.data() + 3 * static_cast<std::size_t>(first);
    std::copy(begin, begin + 3 * static_cast<std::size_t>(n), buf);
    return 3 * n;
  }
  if (message_ == Message::marks) return routes_.pack_marks(n, first, buf);
  double *at = buf;
  routes_.for_received(n, first, [&](int i) { at = pack_row(i, at); });
  return static_cast<int>(at - buf);
}

namespace {

  template <typename T> void add_row(char *row, const double *packed, std::size_t bytes)
  {
    const auto *const source = reinterpret_cast<const char *>(packed);
    for (std::size_t at = 0; at < bytes; at += sizeof(T)) {
      T sum, term;
      std::memcpy(&sum, row + at, sizeof(T));
      std::memcpy(&term, source + at, sizeof(T));
      sum += term;
      std::memcpy(row + at, &sum, sizeof(T));
    }
  }

}    // namespace

void PairMofmd::unpack_reverse_comm(int n, int *list, double *buf)
{
  if (message_ == Message::forces) {
    for (int k = 0; k < n; ++k)
      for (int d = 0; d < 3; ++d)
        atom_forces_[3 * static_cast<std::size_t>(list[k]) + d] += buf[3 * k + d];
    return;
  }
  if (message_ == Message::marks) {
    routes_.unpack_marks(n, list, buf);
    return;
  }
  for (const int i : routes_.sent(list)) {
    char *const row = rows_.data + rows_.row_bytes * i;
    rows_.is_double ? add_row<double>(row, buf, rows_.row_bytes)
                    : add_row<float>(row, buf, rows_.row_bytes);
    buf += rows_.row_doubles();
  }
}

}    // namespace mofmd
