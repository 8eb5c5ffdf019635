// A recorded program as the host encodes it, and one run of it. Both are arrays of float64 in device memory.
//
//   program  launches, then per launch: kernel, bindings, params, (slot, byte offset) per binding, the params
//            slot -1: null; slot -2: constant bytes of the program at that offset
//            param: -1, value (a float) | k, value, k length indices (an integer times k run-time lengths)
//   job      see Job; then the lengths' values, then one address per slot
#pragma once
#include "kernel.h"

struct Job {
  uint32_t abort;   // set to 1 from anywhere to stop the run
  int32_t status;   // Done or Aborted once the run has ended
  double program;   // address
  double constants; // address
  double profile;   // address of one float64 (µs) per launch, or 0
  double scratch;   // address of `threads` blocks
  double scratchBytes; // bytes of one block
  double lengthCount;
  double launch, cursor, chunk; // where a sliced run goes on
  double tail[];    // lengths, then slots
};

enum { Done = 0, Aborted = 1, More = 2 };

template <class T> static inline T *address(double a) { return (T *)(uintptr_t)a; }

// Reads the launch at `cell` into `l`; returns the cell after it.
static inline const double *read_launch(const Job &job, const double *cell, int32_t threads, Launch &l, int32_t &kernel) {
  const double *lengths = job.tail, *slots = job.tail + (int64_t)job.lengthCount;
  uint8_t *constants = address<uint8_t>(job.constants);
  kernel = (int32_t)cell[0];
  l.bindings = (int32_t)cell[1];
  l.count = (int32_t)cell[2];
  l.threads = threads;
  cell += 3;
  for (int32_t i = 0; i < l.bindings; i++, cell += 2) {
    int32_t slot = (int32_t)cell[0];
    uint8_t *base = slot >= 0 ? address<uint8_t>(slots[slot]) : constants;
    l.pointers[i] = slot == -1 ? nullptr : base + (int64_t)cell[1];
  }
  for (int32_t i = 0; i < l.count; i++) {
    int32_t kind = (int32_t)*cell++;
    double value = *cell++;
    if (kind < 0) { l.params[i].f = value; continue; }
    int64_t n = (int64_t)value;
    for (; kind > 0; kind--) n *= (int64_t)lengths[(int32_t)*cell++];
    l.params[i].i = n;
  }
  return cell;
}
