// Messages between ranks from inside a model. A message-passing layer reads the features of
// neighbours; those of ghost atoms are fetched from the ranks that own the atoms before the layer,
// and the gradients with respect to them are summed back to the owners in the backward pass:
//
//     forward    owned (n_local, F) --> owned and ghost (n_all, F)
//     backward   dE/d(owned and ghost) --> dE/d(owned)
//
// Only rows that travel leave the device: those of owned atoms that are ghosts elsewhere, and those
// of ghosts; one copy each way. Models call this as the torch operator mofmd::exchange. Free of
// torch's headers.

#ifndef MOFMD_EXCHANGE_H
#define MOFMD_EXCHANGE_H

#include "graph/graph.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mofmd {

// A table with one row for each atom of this rank, owned atoms first, then ghosts. Of owned atoms
// only the rows that other ranks need are filled.
struct AtomRows {
  char *data = nullptr;
  std::size_t row_bytes = 0;
  bool is_double = false;    // rows of float64, otherwise of float32

  // Rows travel in LAMMPS's buffers of doubles as they are: two float32 to a double.
  std::size_t row_doubles() const { return (row_bytes + sizeof(double) - 1) / sizeof(double); }
};

// Carries rows between ranks. Both calls that do are collective.
class AtomCommunicator {
public:
  // Zeros in the rows that travel; the others are not looked at.
  virtual void clear(const AtomRows &rows) const = 0;
  virtual void copy_to_ghosts(const AtomRows &rows) = 0;
  virtual void sum_from_ghosts(const AtomRows &rows) = 0;

protected:
  ~AtomCommunicator() = default;
};

// What the operator did during one evaluation.
struct ExchangeCounters {
  double seconds = 0.0;
  std::int64_t forward_calls = 0;    // one for each layer after the first
  std::int64_t rows = 0;             // rows of features that layers computed, over forward calls
  std::int64_t bytes = 0;            // of features and gradients of ghosts
};

// While it lives, mofmd::exchange works on this graph over this communicator (nullptr: one rank,
// where neighbours are nodes themselves and there is nothing to fetch).
class ExchangeScope {
public:
  // sent_nodes: owned nodes whose atoms are ghosts elsewhere.
  ExchangeScope(const Nodes &nodes, int num_atoms, const std::vector<std::int64_t> &sent_nodes,
                AtomCommunicator *communicator);
  ~ExchangeScope();
  ExchangeScope(const ExchangeScope &) = delete;
  ExchangeScope &operator=(const ExchangeScope &) = delete;

  const ExchangeCounters &counters() const { return counters_; }

private:
  friend class ExchangeOperator;
  const Nodes &nodes_;
  const int num_atoms_;    // owned and ghost
  const std::vector<std::int64_t> &sent_nodes_;
  AtomCommunicator *const communicator_;
  ExchangeCounters counters_;
};

}    // namespace mofmd

#endif
