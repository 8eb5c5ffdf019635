// Linear with packed weights (quant.h). bind: x f32, w, out f32, bias f32 or none, quantised rows; params as in gemm.h, strides of w
// in values. Two launches: `quantise_rows` turns x into 16-bit integers once, `linear_*` multiplies. A single row (decode) is quantised by each
// chunk for itself: that is cheaper than waiting for another launch.
// - up to `few` rows: blocks of W weight rows go from the file's layout straight to registers;
// - more: W weight rows are laid out in scratch and used by all rows of the chunk.
#pragma once
#include "quant.h"

namespace ISA {
namespace quant {

static const int few = 4, together = 4;
static const int64_t mostRows = 256;

template <class F> INL Cut cut(const Product &p) {
  Cut c;
  int64_t row = imax(1, p.k / 32 * F::bytes);
  if (p.rows <= few) {
    c.m = p.rows;
    c.n = imax(imin(imax(cdiv(p.n, 8), 24576 / row), 131072 / row), 1);
  } else {
    c.m = cdiv(p.rows, cdiv(p.rows, mostRows));
    c.n = imax(12000000 / (c.m * imax(p.k, 1)), 4 * W);
  }
  c.n = up(cdiv(imax(p.n, 1), cdiv(imax(p.n, 1), up(c.n, W))), W);
  c.across = cdiv(p.n, c.n), c.down = p.rows ? cdiv(p.rows, c.m) : 0;
  return c;
}

INL void put(float *out, V sum, const float *bias, int64_t skip, int64_t n) {
  float t[W];
  vstore(t, sum);
  for (int64_t i = 0; i < n; i++) out[i] = bias ? t[skip + i] + bias[i] : t[skip + i];
}

// W weight rows as the kernels of a chunk see them: rows first … first + W - 1, of which `n` from `skip` on are wanted.
struct Panel {
  const uint8_t *first;
  int64_t stride, skip, n;
  const uint8_t *next; // where the next W rows lie one after the other, to be fetched meanwhile; or null
};
template <int R, class F> INL void straight(const Panel &w, int64_t blocks, const Row *x, float *const *out, const float *bias) {
  V sum[R];
  UNROLL for (int i = 0; i < R; i++) sum[i] = vzero();
  for (int64_t b = 0; b < blocks; b++) {
    const uint8_t *at = w.first + b * F::bytes;
    if (w.next) UNROLL for (int i = 0; i < W * F::bytes; i += 64) fetch(w.next + b * W * F::bytes + i);
    Weights block;
    read<F>(at, w.stride, block);
    UNROLL for (int i = 0; i < R; i++) sum[i] = add<F>(sum[i], block, block.w, x[i], b);
  }
  UNROLL for (int i = 0; i < R; i++) put(out[i], sum[i], bias, w.skip, w.n);
}
template <int R, class F> static __attribute__((noinline)) void tile(const Weights *w, const Panel &panel, int64_t blocks, const Row *x, float *const *out, int64_t col, const float *bias) {
  V sum[R];
  UNROLL for (int i = 0; i < R; i++) sum[i] = vzero();
  for (int64_t b = 0; b < blocks; b++) UNROLL for (int i = 0; i < R; i++) sum[i] = add<F>(sum[i], w[b], w[b].w, x[i], b);
  UNROLL for (int i = 0; i < R; i++) put(out[i] + col, sum[i], bias, panel.skip, panel.n);
}

static int64_t quantise_chunks(const Launch &l) {
  Product p(l);
  return p.rows > 1 ? cdiv(p.rows, 16) : 0;
}
static void quantise_run(const Launch &l, int64_t chunk, uint8_t *) {
  Product p(l);
  int64_t blocks = p.k / 32;
  for (int64_t i = 16 * chunk, end = imin(i + 16, p.rows); i < end; i++) {
    int64_t a, o;
    p.row(i, a, o);
    quantise(l.p(0) + a, blocks, Row(l.p<uint8_t>(1) + i * rowBytes(blocks), blocks));
  }
}

template <class F> static int64_t chunks(const Launch &l) {
  Product p(l);
  return cut<F>(p).chunks(p);
}
template <class F> static void run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  Product p(l);
  Block block(p, cut<F>(p), chunk);
  const float *a[mostRows];
  float *out[mostRows];
  const float *bias = block.operands(p, a, out);
  int64_t blocks = p.k / 32, stride = p.bn / 32 * F::bytes;
  uint8_t *quantised = p.rows > 1 ? l.p<uint8_t>(4) + block.row * rowBytes(blocks) : scratch;
  if (p.rows == 1) quantise(a[0], blocks, Row(scratch, blocks));
  auto row = [&](int64_t i) { return Row(quantised + i * rowBytes(blocks), blocks); };
  // Where fewer than W rows are left, the panel reaches back; a matrix of fewer than W rows goes row by row in equal lanes.
  int64_t step = p.n < W ? 1 : W;
  for (int64_t j = 0; j < block.cols; j += step) {
    int64_t n = imin(block.cols - j, step), skip = imax(0, block.col + j + step - p.n);
    const float *add = bias ? bias + j : nullptr;
    Panel panel{l.p<uint8_t>(1) + (block.col + j - skip) * stride, step == 1 ? 0 : stride, skip, n, nullptr};
    if (block.cols - j >= 2 * W && stride >= blocks * F::bytes) panel.next = panel.first + W * stride;
    if (p.rows <= few) {
      Row x[few] = {row(0), row(imin(1, block.rows - 1)), row(imin(2, block.rows - 1)), row(block.rows - 1)};
      float *to[few];
      for (int64_t i = 0; i < block.rows; i++) to[i] = out[i] + j;
      dispatch<1, few + 1>(block.rows, [&](auto R) { straight<R.value, F>(panel, blocks, x, to, add); });
      continue;
    }
    Weights *w = (Weights *)scratch;
    for (int64_t b = 0; b < blocks; b++) read<F>(panel.first + b * F::bytes, panel.stride, w[b]);
    int64_t i = 0;
    for (; i + together <= block.rows; i += together) {
      Row x[together] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
      tile<together, F>(w, panel, blocks, x, out + i, j, add);
    }
    for (; i < block.rows; i++) {
      Row x = row(i);
      tile<1, F>(w, panel, blocks, &x, out + i, j, add);
    }
  }
}

} // namespace quant

static const Kernel linearPackedKernels[] = {
  {"quantise_rows", quant::quantise_chunks, quant::quantise_run},
  {"linear_q4_0", quant::chunks<quant::Q4_0>, quant::run<quant::Q4_0>},
  {"linear_q4_1", quant::chunks<quant::Q4_1>, quant::run<quant::Q4_1>},
  {"linear_q8_0", quant::chunks<quant::Q8_0>, quant::run<quant::Q8_0>},
};

} // namespace ISA
