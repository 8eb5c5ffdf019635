// Products with b's columns dense: b (K, N) as activations and values lie.
//
// One order of summation for every number of rows: in a block of k each column adds its products one after the other, blocks are
// added in order, the bias last.
// - up to `few` rows: b is read once where it lies, a strip of columns at a time, sums waiting in scratch;
// - more: panels of NR columns × depth copied to scratch (f16 and bf16 become f32 there), tiles of MR rows × NR columns.
#pragma once
#include "gemm.h"

namespace ISA {
namespace nn {

#if W == 16
static const int tall = 12, wide = 2; // 24 accumulators
#elif W == 8
static const int tall = 6, wide = 2; // 12 accumulators; 4 × 3 makes some compilers spill
#elif defined(__ARM_NEON)
static const int tall = 8, wide = 2;
#else
static const int tall = 4, wide = 2; // 8 accumulators: WebAssembly engines spill with more
#endif
static const int few = 4, step = 8, panelN = wide * W;
static const int64_t mostK = 320, mostRows = 120, mostCols = 512;

INL Cut cut(const Product &p) {
  Cut c;
  c.m = p.rows <= few ? p.rows : up(cdiv(p.rows, cdiv(p.rows, mostRows)), tall);
  c.n = imin(mostCols, imax((p.rows <= few ? 262144 : 8000000) / (imax(c.m, 1) * imax(p.k, 1)), 4 * panelN));
  c.n = up(cdiv(imax(p.n, 1), cdiv(imax(p.n, 1), c.n)), panelN);
  c.across = cdiv(p.n, c.n), c.down = p.rows ? cdiv(p.rows, c.m) : 0;
  return c;
}

// a: [k][R], b: [k][panelN]
template <int R> INL void tile(const float *a, const float *b, int64_t k, V (&s)[R][wide]) {
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < wide; v++) s[i][v] = vzero();
  for (int64_t q = 0; q < k; q++, a += R, b += panelN) {
    V x[wide];
    UNROLL for (int v = 0; v < wide; v++) x[v] = vload(b + v * W);
    UNROLL for (int i = 0; i < R; i++) {
      V y = vbc(a + i);
      UNROLL for (int v = 0; v < wide; v++) s[i][v] = vfma(y, x[v], s[i][v]);
    }
  }
}
template <int R> static __attribute__((noinline)) void tileOut(const float *a, const float *b, int64_t k, float *const *out, int64_t col, const float *bias, bool first, bool last, int64_t n) {
  V s[R][wide];
  tile<R>(a, b, k, s);
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < wide; v++)
    if (n > v * W) put(out[i] + col + v * W, s[i][v], bias ? bias + v * W : nullptr, first, last, n - v * W);
}

// rows of a as [k][rows]
INL void packRows(float *to, const float *const *a, int64_t rows, int64_t stride, int64_t k) {
  int64_t r = 0;
  if (stride == 1) for (; r + 4 <= rows; r += 4) {
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) {
      Q x[4];
      UNROLL for (int j = 0; j < 4; j++) x[j] = qload(a[r + j] + i);
      transpose(x);
      UNROLL for (int j = 0; j < 4; j++) qstore(to + (i + j) * rows + r, x[j]);
    }
    for (; i < k; i++) for (int j = 0; j < 4; j++) to[i * rows + r + j] = a[r + j][i];
  }
  for (; r < rows; r++) for (int64_t i = 0; i < k; i++) to[i * rows + r] = a[r][i * stride];
}
template <class T> INL void packPanel(float *to, const T *b, int64_t stride, int64_t cols, int64_t k) {
  if (cols >= panelN)
    for (int64_t i = 0; i < k; i++, to += panelN, b += stride) UNROLL for (int v = 0; v < wide; v++) vstore(to + v * W, vload(b + v * W));
  else
    for (int64_t i = 0; i < k; i++, to += panelN, b += stride)
      for (int64_t j = 0; j < panelN; j++) to[j] = j < cols ? value(b[j]) : 0;
}

template <class T> INL void panels(const Product &p, const Block &block, const float *const *a, float *const *out, const T *b, const float *bias, float *scratch) {
  float *packedRows = scratch, *panel = scratch + (mostRows + tall) * mostK;
  int64_t kc = depth(p.k, mostK);
  for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
    int64_t k = imin(kc, p.k - k0);
    bool first = k0 == 0, last = k0 + kc >= p.k;
    for (int64_t r = 0; r < block.rows; r += tall) {
      const float *from[tall];
      int64_t rows = imin(tall, block.rows - r);
      for (int64_t i = 0; i < rows; i++) from[i] = a[r + i] + k0 * p.ak;
      packRows(packedRows + r * k, from, rows, p.ak, k);
    }
    for (int64_t j = 0; j < block.cols; j += panelN) {
      int64_t n = block.cols - j, r = 0;
      packPanel(panel, b + k0 * p.bk + j, p.bk, n, k);
      const float *add = bias ? bias + j : nullptr;
      for (; r + tall <= block.rows; r += tall) tileOut<tall>(packedRows + r * k, panel, k, out + r, j, add, first, last, n);
      dispatch<1, tall>(block.rows - r, [&](auto R) { tileOut<R.value>(packedRows + r * k, panel, k, out + r, j, add, first, last, n); });
    }
  }
}

// `S` steps of k added to the sums of one row; from zero when `fresh`.
template <int S, class T> INL void strip(float *sum, const float *x, const T *b, int64_t stride, int64_t cols, bool fresh) {
  V y[S];
  UNROLL for (int i = 0; i < S; i++) y[i] = vset(x[i]);
  int64_t j = 0;
  for (; j + W <= cols; j += W) {
    V s = fresh ? vzero() : vload(sum + j);
    UNROLL for (int i = 0; i < S; i++) s = vfma(y[i], vload(b + i * stride + j), s);
    vstore(sum + j, s);
  }
  if (j < cols) {
    V s = fresh ? vzero() : vload(sum + j);
    UNROLL for (int i = 0; i < S; i++) s = vfma(y[i], vpart(b + i * stride + j, cols - j), s);
    vstore(sum + j, s);
  }
}
template <class T> INL void straight(const Product &p, const Block &block, const float *const *a, float *const *out, const T *b, const float *bias, float *sums) {
  int64_t kc = depth(p.k, mostK);
  for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
    int64_t end = imin(k0 + kc, p.k);
    for (int64_t k = k0; k < end;) {
      int64_t steps = end - k >= step ? step : 1;
      for (int64_t r = 0; r < block.rows; r++) {
        float x[step], *sum = sums + r * (mostCols + panelN);
        for (int64_t i = 0; i < steps; i++) x[i] = a[r][(k + i) * p.ak];
        if (steps == step) strip<step>(sum, x, b + k * p.bk, p.bk, block.cols, k == k0);
        else strip<1>(sum, x, b + k * p.bk, p.bk, block.cols, k == k0);
      }
      k += steps;
    }
    for (int64_t r = 0; r < block.rows; r++) for (int64_t j = 0; j < block.cols; j += W)
      put(out[r] + j, vload(sums + r * (mostCols + panelN) + j), bias ? bias + j : nullptr, k0 == 0, end == p.k, block.cols - j);
  }
}

template <class T> static int64_t chunks(const Launch &l) {
  Product p(l);
  return cut(p).chunks(p);
}
// bind: a, b, out, bias or none
template <class T> static void run(const Launch &l, int64_t chunk, uint8_t *memory) {
  Product p(l);
  Block block(p, cut(p), chunk);
  const float *a[mostRows + tall];
  float *out[mostRows + tall];
  const float *bias = block.operands(p, a, out);
  const T *b = l.p<T>(1) + block.b + block.col;
  if (p.k == 0) block.fill(out, bias);
  else if (p.rows > few) panels<T>(p, block, a, out, b, bias, (float *)memory);
  else straight<T>(p, block, a, out, b, bias, (float *)memory);
}

} // namespace nn
} // namespace ISA
