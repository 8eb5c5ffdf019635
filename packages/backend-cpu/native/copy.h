// copy: out[i] = in[i], contiguous f32. The pattern of a kernel: params (n), bind (in, out).
#pragma once
#include "kernel.h"
#include "simd.h"

namespace ISA {

static const int64_t copyChunk = 16384; // elements

static int64_t copy_chunks(const Launch &l) { return (l.n(0) + copyChunk - 1) / copyChunk; }
static void copy_run(const Launch &l, int64_t chunk, uint8_t *) {
  const float *in = l.p(0);
  float *out = l.p(1);
  int64_t i = chunk * copyChunk, end = i + copyChunk < l.n(0) ? i + copyChunk : l.n(0);
  for (; i + W <= end; i += W) vstore(out + i, vload(in + i));
  if (i < end) vstoren(out + i, vloadn(in + i, end - i), end - i);
}
static const Kernel copyKernels[] = {{"copy", copy_chunks, copy_run}};

} // namespace ISA
