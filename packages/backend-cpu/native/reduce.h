// reduce: sum, maximum or minimum of one axis. Sums add 256 values in f32, then in double. NaN goes on.
//
//   params  extents of the output (rank), extent of the reduced axis
//   bind    layout (i32), in, out
//   layout  rank, input type, by (0 sum, 1 max, 2 min), input strides (rank), output strides (rank), stride of the reduced axis
#pragma once
#include "special.h"
#include "walk.h"

namespace ISA {

static const int64_t reduceChunk = 16384, reduceTile = 256;
enum { SumOf, MaxOf, MinOf };

INL float better(int64_t by, float a, float m) { return by == MaxOf ? (a > m || a != a ? a : m) : (a < m || a != a ? a : m); }
INL V vbetter(int64_t by, V a, V m) { return by == MaxOf ? vsel((a > m) | (a != a), a, m) : vsel((a < m) | (a != a), a, m); }

// n dense values.
static float reduce_dense(int64_t by, const float *x, int64_t n) {
  if (by != SumOf) {
    float start = by == MaxOf ? -__builtin_inff() : __builtin_inff(), lanes[W];
    V m = vset(start);
    int64_t i = 0;
    for (; i + W <= n; i += W) m = vbetter(by, vload(x + i), m);
    vstore(lanes, m);
    for (int j = 0; j < W; j++) start = better(by, lanes[j], start);
    for (; i < n; i++) start = better(by, x[i], start);
    return start;
  }
  double total = 0;
  for (int64_t from = 0; from < n; from += 16 * W) {
    int64_t end = min64(from + 16 * W, n), i = from;
    V a = vzero(), b = vzero(), c = vzero(), d = vzero();
    for (; i + 4 * W <= end; i += 4 * W) {
      a = a + vload(x + i);
      b = b + vload(x + i + W);
      c = c + vload(x + i + 2 * W);
      d = d + vload(x + i + 3 * W);
    }
    for (; i + W <= end; i += W) a = a + vload(x + i);
    total += (double)vsum((a + b) + (c + d));
    for (; i < end; i++) total += (double)x[i];
  }
  return (float)total;
}

// Outputs per chunk: about `reduceChunk` values read; across the axis whole cache lines of many outputs.
static int64_t reduce_outputs(const Launch &l, int64_t rank) {
  int64_t extent = max64(l.n((int)rank), 1), step = l.p<int32_t>(0)[3 + 2 * rank];
  return max64(step == 1 ? 1 : reduceTile, reduceChunk / extent);
}
static int64_t reduce_chunks(const Launch &l) {
  Axes axes;
  axes.read(l, 0, l.p<int32_t>(0)[0]);
  return ceil_div(axes.total(), reduce_outputs(l, axes.rank));
}
static void reduce_run(const Launch &l, int64_t chunk, uint8_t *) {
  const int32_t *layout = l.p<int32_t>(0), rank = layout[0], type = layout[1], by = layout[2];
  const int32_t *inStrides = layout + 3, *outStrides = inStrides + rank;
  const int64_t extent = l.n(rank), step = outStrides[rank];
  const uint8_t *in = l.p<uint8_t>(1);
  Axes axes;
  axes.read(l, 0, rank);
  int64_t count = reduce_outputs(l, rank), from = chunk * count, end = min64(from + count, axes.total());
  axes.seek(from);
  while (from < end) {
    int64_t n = min64(min64(axes.inner() - axes.index[rank - 1], end - from), reduceTile), inner = inStrides[rank - 1];
    int64_t at = axes.at(inStrides), to = axes.at(outStrides);
    if (type == I32) {
      for (int64_t j = 0; j < n; j++) {
        const int32_t *x = (const int32_t *)in + at + j * inner;
        int32_t acc = by == SumOf ? 0 : by == MaxOf ? INT32_MIN : INT32_MAX;
        for (int64_t i = 0; i < extent; i++) {
          int32_t v = x[i * step];
          acc = by == SumOf ? (int32_t)((uint32_t)acc + (uint32_t)v) : by == MaxOf ? (v > acc ? v : acc) : (v < acc ? v : acc);
        }
        l.p<int32_t>(2)[to + j] = acc;
      }
    } else if (step == 1 || extent <= 1 || n < 4) { // one output at a time, along the reduced axis
      for (int64_t j = 0; j < n; j++) {
        float *out = l.p(2) + to + j, lanes[4096];
        if (type == F32 && step == 1) {
          *out = reduce_dense(by, (const float *)in + at + j * inner, extent);
          continue;
        }
        double total = 0;
        float best = by == MaxOf ? -__builtin_inff() : __builtin_inff();
        for (int64_t i = 0; i < extent; i += 4096) {
          int64_t m = min64(extent - i, 4096);
          load(type, in, at + j * inner + i * step, step, m, lanes);
          float part = reduce_dense(by, lanes, m);
          if (by == SumOf) total += (double)part;
          else best = better(by, part, best);
        }
        *out = by == SumOf ? (float)total : best;
      }
    } else { // a tile of outputs at once, across the reduced axis
      float lanes[reduceTile], acc[reduceTile];
      double total[reduceTile];
      for (int64_t j = 0; j < n; j++) total[j] = 0;
      for (int64_t j = 0; j < n; j++) acc[j] = by == SumOf ? 0 : by == MaxOf ? -__builtin_inff() : __builtin_inff();
      for (int64_t i = 0; i < extent; i++) {
        const float *row = (const float *)in + at + i * step;
        if (type != F32 || inner != 1) {
          load(type, in, at + i * step, inner, n, lanes);
          row = lanes;
        }
        if (by == SumOf) for (int64_t j = 0; j < n; j++) acc[j] += row[j];
        else for (int64_t j = 0; j < n; j++) acc[j] = better(by, row[j], acc[j]);
        if (by == SumOf && (i & 255) == 255)
          for (int64_t j = 0; j < n; j++) { total[j] += (double)acc[j]; acc[j] = 0; }
      }
      float *out = l.p(2) + to;
      for (int64_t j = 0; j < n; j++) out[j] = by == SumOf ? (float)(total[j] + (double)acc[j]) : acc[j];
    }
    axes.advance(n);
    from += n;
  }
}
static const Kernel reduceKernels[] = {{"reduce", reduce_chunks, reduce_run}};

} // namespace ISA
