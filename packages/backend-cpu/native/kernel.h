// What a CPU kernel is. Every kernel header (matmul.h, attend.h, …) includes this, defines its kernels in the namespace of the
// instruction set being compiled (-DISA=avx2 …) and lists them in a table that kernels.cpp concatenates:
//
//   static int64_t rms_chunks(const Launch &l) { return (l.n(0) + 15) / 16; }
//   static void rms_run(const Launch &l, int64_t chunk, uint8_t *scratch) { … }
//   static const Kernel rmsKernels[] = {{"rms_norm", rms_chunks, rms_run}};
//
// A launch is cut into chunks by its shape alone, never by the number of threads: threads claim chunks from one counter, so results
// are bitwise equal for every thread count. A chunk writes only its own part of the outputs. Keep a chunk around 10-200 µs.
#pragma once
#include <stddef.h>
#include <stdint.h>

// The arguments of one launch, resolved from the recorded program just before it runs: bindings in the order of the plan's `bind`,
// parameters in the order of its `params` (integers and run-time Lengths already multiplied out, floats as such).
struct Launch {
  uint8_t *pointers[32];
  union { int64_t i; double f; } params[112];
  int32_t bindings, count, threads;
  // always_inline: a shared inline function could be linked from the wrong instruction set's object
  template <class T = float> __attribute__((always_inline)) T *p(int i) const { return (T *)pointers[i]; } // null when the binding is { none: true }
  __attribute__((always_inline)) int64_t n(int i) const { return params[i].i; }
  __attribute__((always_inline)) float f(int i) const { return (float)params[i].f; }
};

struct Kernel {
  const char *name;
  int64_t (*chunks)(const Launch &); // 0: nothing to do
  // `scratch`: this thread's private scratch memory, 64-byte aligned, of the plan's `threadScratch` bytes; contents undefined.
  void (*run)(const Launch &, int64_t chunk, uint8_t *scratch);
};
