// rms_norm, layer_norm, softmax: one pass or two over each row of f32.
//
//   params  rows' outer extents (rank), width, eps (norms)
//   bind    layout (i32), x, out, weight, bias or null (norms)
//   layout  rank, weight type, bias type, input strides (rank), output strides (rank)
#pragma once
#include "vmath.h"
#include "walk.h"

namespace ISA {

static const int64_t normChunk = 8192; // elements

// Σ (x − mean)²: 16 vectors in f32, then in double.
static double sum_squares(const float *x, int64_t n, float mean) {
  V m = vset(mean);
  double total = 0;
  for (int64_t from = 0; from < n; from += 16 * W) {
    int64_t end = min64(from + 16 * W, n), i = from;
    V a = vzero(), b = vzero(), c = vzero(), d = vzero();
    for (; i + 4 * W <= end; i += 4 * W) {
      V p = vload(x + i) - m, q = vload(x + i + W) - m, r = vload(x + i + 2 * W) - m, s = vload(x + i + 3 * W) - m;
      a = vfma(p, p, a), b = vfma(q, q, b), c = vfma(r, r, c), d = vfma(s, s, d);
    }
    for (; i + W <= end; i += W) {
      V p = vload(x + i) - m;
      a = vfma(p, p, a);
    }
    total += (double)vsum((a + b) + (c + d));
    for (; i < end; i++) total += (double)((x[i] - mean) * (x[i] - mean));
  }
  return total;
}
static double sum_of(const float *x, int64_t n) {
  double total = 0;
  for (int64_t from = 0; from < n; from += 16 * W) {
    int64_t end = min64(from + 16 * W, n), i = from;
    V a = vzero(), b = vzero();
    for (; i + 2 * W <= end; i += 2 * W) a = a + vload(x + i), b = b + vload(x + i + W);
    for (; i + W <= end; i += W) a = a + vload(x + i);
    total += (double)vsum(a + b);
    for (; i < end; i++) total += (double)x[i];
  }
  return total;
}
// √a in double without libm: two Newton steps from the f32 square root.
INL double root(double a) {
  V s = vsqrt(vset((float)a));
  double r = s[0];
  if (!(r > 0) || r > 1e38) return r;
  r = 0.5 * (r + a / r);
  return 0.5 * (r + a / r);
}

// What a row kernel does to one row: out = row(x, n).
template <class Row> INL void each_row(const Launch &l, int64_t chunk, const Row &row) {
  const int32_t *layout = l.p<int32_t>(0), rank = layout[0], *inStrides = layout + 3, *outStrides = inStrides + rank;
  Axes axes;
  axes.read(l, 0, rank);
  int64_t width = l.n(rank), count = max64(1, normChunk / max64(width, 1)), from = chunk * count, end = min64(from + count, axes.total());
  axes.seek(from);
  for (; from < end; from++) {
    row(l.p(1) + axes.at(inStrides), l.p(2) + axes.at(outStrides), width);
    if (from + 1 < end) axes.advance(1);
  }
}
static int64_t row_chunks(const Launch &l) {
  Axes axes;
  axes.read(l, 0, l.p<int32_t>(0)[0]);
  return ceil_div(axes.total(), max64(1, normChunk / max64(l.n((int)axes.rank), 1)));
}

// out = (x − mean) × scale × weight + bias
INL void scale_row(const Launch &l, const float *x, float *out, int64_t n, float mean, float scale) {
  const int32_t *layout = l.p<int32_t>(0);
  const uint8_t *weight = l.p<uint8_t>(3), *bias = l.p<uint8_t>(4);
  float w[256], b[256];
  V m = vset(mean), s = vset(scale);
  for (int64_t from = 0; from < n; from += 256) {
    int64_t end = min64(n - from, 256), i = 0;
    const float *ws = (const float *)weight + from, *bs = (const float *)bias + from;
    if (layout[1] != F32) load(layout[1], weight, from, 1, end, w), ws = w;
    if (bias && layout[2] != F32) load(layout[2], bias, from, 1, end, b), bs = b;
    for (; i < end; i += W) {
      int64_t lanes = min64(end - i, W);
      V y = (vload_some(x + from + i, lanes) - m) * s * vload_some(ws + i, lanes);
      if (bias) y = y + vload_some(bs + i, lanes);
      vstore_some(out + from + i, y, lanes);
    }
  }
}

static void rms_run(const Launch &l, int64_t chunk, uint8_t *) {
  double eps = l.params[l.p<int32_t>(0)[0] + 1].f;
  each_row(l, chunk, [&](const float *x, float *out, int64_t n) {
    scale_row(l, x, out, n, 0, (float)(1.0 / root(sum_squares(x, n, 0) / (double)n + eps)));
  });
}
static void layer_run(const Launch &l, int64_t chunk, uint8_t *) {
  double eps = l.params[l.p<int32_t>(0)[0] + 1].f;
  each_row(l, chunk, [&](const float *x, float *out, int64_t n) {
    float mean = (float)(sum_of(x, n) / (double)n);
    scale_row(l, x, out, n, mean, (float)(1.0 / root(sum_squares(x, n, mean) / (double)n + eps)));
  });
}
static void softmax_run(const Launch &l, int64_t chunk, uint8_t *) {
  each_row(l, chunk, [&](const float *x, float *out, int64_t n) {
    V top = vset(-3.4e38f); // nothing but −infinity: every weight is 0
    int64_t i = 0;
    for (; i + W <= n; i += W) top = vmax(vload(x + i), top);
    float m = vhmax(top);
    for (; i < n; i++) m = fmax2(x[i], m);
    V v = vset(m);
    for (i = 0; i + W <= n; i += W) vstore(out + i, vexp(vload(x + i) - v));
    if (i < n) vstoren(out + i, vexp(vloadn(x + i, n - i) - v), n - i);
    double sum = sum_of(out, n);
    float scale = (float)(1.0 / (sum > 1e-30 ? sum : 1e-30));
    if (sum != sum) scale = __builtin_nanf("");
    for (i = 0; i < n; i++) out[i] *= scale;
  });
}
static const Kernel normKernels[] = {{"rms_norm", row_chunks, rms_run}, {"layer_norm", row_chunks, layer_run}, {"softmax", row_chunks, softmax_run}};

} // namespace ISA
