// Products with b's rows dense along k: weights (N, K) as checkpoints store them, or keys.
//
// One order of summation for every number of rows, every vector width and every instruction set with fused multiply-add: in a block
// of k, four partial sums take k, k + 4, k + 8 … in turn, then (0 + 2) + (1 + 3); blocks are added in order, the bias last. A vector
// holds the four partial sums of W / 4 columns, so weights reach registers in groups of four neighbours and never need a transpose:
// - up to `few` rows (decode): straight from b, each group loaded once for all rows;
// - more: panels of W columns copied group by group (f16 and bf16 become f32 there) and used by all rows of the block.
#pragma once
#include "gemm.h"

namespace ISA {
namespace nt {

#if W == 16 || defined(__ARM_NEON)
static const int tall = 6, few = 4; // 24 accumulators, 4 of b, 1 of a
#elif W == 8
static const int tall = 3, few = 3; // 12 accumulators, 3 of a, 1 of b
#else
static const int tall = 2, few = 2; // 8 accumulators: WebAssembly engines spill with more
#endif
static const int64_t mostK = 512, mostRows = 128;

INL Cut cut(const Product &p, int64_t itemBytes) {
  Cut c;
  if (p.rows <= few) { // bound by reading b: 24 to 128 KiB of it a chunk
    c.m = p.rows;
    int64_t row = imax(1, p.k * itemBytes), most = 131072 / row, least = 24576 / row;
    c.n = imax(imin(imax(cdiv(p.n, 8), least), most), 1);
  } else {
    c.m = up(cdiv(p.rows, cdiv(p.rows, mostRows)), tall);
    c.n = imax(8000000 / (c.m * imax(p.k, 1)), 8 * W);
  }
  c.n = up(cdiv(imax(p.n, 1), cdiv(imax(p.n, 1), up(c.n, W))), W);
  c.across = cdiv(p.n, c.n), c.down = p.rows ? cdiv(p.rows, c.m) : 0;
  return c;
}

// a: [k / 4][R][4], b: [k / 4][4][W]
template <int R> INL void tile(const float *a, const float *b, int64_t k, V (&sum)[R]) {
  V s[R][4];
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < 4; v++) s[i][v] = vzero();
  for (int64_t q = 0; q < k; q += 4, a += 4 * R, b += 4 * W) {
#if W == 16 || defined(__ARM_NEON)
    V x[4];
    UNROLL for (int v = 0; v < 4; v++) x[v] = vload(b + v * W);
    UNROLL for (int i = 0; i < R; i++) {
      V y = spread(a + 4 * i);
      UNROLL for (int v = 0; v < 4; v++) s[i][v] = vfma(y, x[v], s[i][v]);
    }
#else
    V y[R];
    UNROLL for (int i = 0; i < R; i++) y[i] = spread(a + 4 * i);
    UNROLL for (int v = 0; v < 4; v++) {
      V x = vload(b + v * W);
      UNROLL for (int i = 0; i < R; i++) s[i][v] = vfma(y[i], x, s[i][v]);
    }
#endif
  }
  UNROLL for (int i = 0; i < R; i++) sum[i] = sum4(s[i]);
}

// W columns of b as [k / 4][4][W], zeros after the last k and column
template <class T> INL void packPanel(float *to, const T *b, int64_t stride, int64_t cols, int64_t k) {
  int64_t q = 0;
  if (cols >= W) {
    for (; q + 8 <= k; q += 8, to += 8 * W) UNROLL for (int v = 0; v < 4; v++) {
      V x, y;
      rows8(b + v * stride + q, stride, x, y);
      vstore(to + v * W, x), vstore(to + (4 + v) * W, y);
    }
    for (; q + 4 <= k; q += 4, to += 4 * W) UNROLL for (int v = 0; v < 4; v++) vstore(to + v * W, rows4(b + v * stride + q, stride));
    if (q < k) UNROLL for (int v = 0; v < 4; v++) vstore(to + v * W, rows4(b + v * stride + q, stride, k - q));
  } else
    for (; q < k; q += 4, to += 4 * W)
      for (int64_t r = 0; r < W; r++)
        qstore(to + 4 * ((r & 3) * (W / 4) + (r >> 2)), r < cols ? qload(b + r * stride + q, imin(k - q, 4)) : Q{});
}
// rows of a as [k / 4][rows][4], zeros after the last k
INL void packRows(float *to, const float *const *a, int64_t rows, int64_t stride, int64_t k) {
  for (int64_t r = 0; r < rows; r++) {
    const float *s = a[r];
    int64_t i = 0;
    if (stride == 1) for (; i + 4 <= k; i += 4) qstore(to + (i * rows + 4 * r), qload(s + i));
    for (; i < k; i++) to[(i & ~3) * rows + 4 * r + (i & 3)] = s[i * stride];
    for (; i & 3; i++) to[(i & ~3) * rows + 4 * r + (i & 3)] = 0;
  }
}

template <int R> static __attribute__((noinline)) void tileOut(const float *a, const float *b, int64_t k, float *const *out, int64_t col, const float *bias, bool first, bool last, int64_t n) {
  V sum[R];
  tile<R>(a, b, k, sum);
  UNROLL for (int i = 0; i < R; i++) put(out[i] + col, sum[i], bias, first, last, n);
}

template <class T> INL void panels(const Product &p, const Block &block, const float *const *a, float *const *out, const T *b, const float *bias, float *scratch) {
  float *packedRows = scratch, *panel = scratch + (mostRows + tall) * mostK;
  int64_t kc = depth(p.k, mostK);
  for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
    int64_t k = imin(kc, p.k - k0), k4 = up(k, 4);
    bool first = k0 == 0, last = k0 + kc >= p.k;
    for (int64_t r = 0; r < block.rows; r += tall) {
      const float *from[tall];
      int64_t rows = imin(tall, block.rows - r);
      for (int64_t i = 0; i < rows; i++) from[i] = a[r + i] + k0 * p.ak;
      packRows(packedRows + r * k4, from, rows, p.ak, k);
    }
    for (int64_t j = 0; j < block.cols; j += W) {
      int64_t n = block.cols - j;
      packPanel(panel, b + j * p.bn + k0, p.bn, n, k);
      const float *add = bias ? bias + j : nullptr;
      int64_t r = 0;
      for (; r + tall <= block.rows; r += tall) tileOut<tall>(packedRows + r * k4, panel, k4, out + r, j, add, first, last, n);
      int64_t left = block.rows - r;
      const float *rest = packedRows + r * k4;
      dispatch<1, tall>(left, [&](auto R) { tileOut<R.value>(rest, panel, k4, out + r, j, add, first, last, n); });
    }
  }
}

// R rows against columns straight from b; a: R rows of `stride` floats, dense, zeros after the last k.
template <int R, class T> INL void straight(const Product &p, const Block &block, const float *a, int64_t stride, float *const *out, const T *b, const float *bias) {
  int64_t kc = depth(p.k, mostK);
  for (int64_t j = 0; j < block.cols; j += W) {
    int64_t n = block.cols - j;
    if (n < W) j -= W - n, n = W; // the last columns once more: cheaper than a ragged panel
    const T *base = b + j * p.bn;
    // The W rows lie one after the other: fetch the next W in one stream while reading these in W short ones.
    const bool dense = p.bn >= p.k;
    const char *next = (const char *)(base + (n >= 2 * W ? W * p.bn : 0));
    V total[R];
    for (int64_t k0 = 0; k0 < p.k; k0 += kc) {
      int64_t end = imin(k0 + kc, p.k), q = k0;
      V s[R][4];
      UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < 4; v++) s[i][v] = vzero();
      for (; q + 8 <= end; q += 8) {
        if (dense) UNROLL for (size_t at = 0; at < 8 * W * sizeof(T); at += 64) fetch(next + q * W * sizeof(T) + at);
        UNROLL for (int v = 0; v < 4; v++) {
          V x, y;
          rows8(base + v * p.bn + q, p.bn, x, y);
          UNROLL for (int i = 0; i < R; i++) s[i][v] = vfma(spread(a + i * stride + q), x, s[i][v]);
          UNROLL for (int i = 0; i < R; i++) s[i][v] = vfma(spread(a + i * stride + q + 4), y, s[i][v]);
        }
      }
      if (q + 4 <= end) {
        UNROLL for (int v = 0; v < 4; v++) {
          V x = rows4(base + v * p.bn + q, p.bn);
          UNROLL for (int i = 0; i < R; i++) s[i][v] = vfma(spread(a + i * stride + q), x, s[i][v]);
        }
        q += 4;
      }
      if (q < end) UNROLL for (int v = 0; v < 4; v++) {
        V x = rows4(base + v * p.bn + q, p.bn, end - q);
        UNROLL for (int i = 0; i < R; i++) s[i][v] = vfma(spread(a + i * stride + q), x, s[i][v]);
      }
      UNROLL for (int i = 0; i < R; i++) total[i] = k0 ? total[i] + sum4(s[i]) : sum4(s[i]);
    }
    UNROLL for (int i = 0; i < R; i++) put(out[i] + j, total[i], bias ? bias + j : nullptr, true, true, n);
  }
}

template <class T> static int64_t chunks(const Launch &l) {
  Product p(l);
  return cut(p, sizeof(T)).chunks(p);
}
// bind: a, b, out, bias or none
template <class T> static void run(const Launch &l, int64_t chunk, uint8_t *memory) {
  Product p(l);
  Block block(p, cut(p, sizeof(T)), chunk);
  const float *a[mostRows + tall];
  float *out[mostRows + tall];
  const float *bias = block.operands(p, a, out);
  const T *b = l.p<T>(1) + block.b + block.col * p.bn;
  float *scratch = (float *)memory;
  if (p.k == 0) block.fill(out, bias);
  else if (p.rows > few || block.cols < W || up(p.k, 4) * p.rows > mostRows * mostK)
    panels<T>(p, block, a, out, b, bias, scratch);
  else {
    int64_t stride = up(p.k, 4);
    for (int64_t i = 0; i < block.rows; i++) packRows(scratch + i * stride, a + i, 1, p.ak, p.k);
    dispatch<1, few + 1>(block.rows, [&](auto R) { straight<R.value>(p, block, scratch, stride, out, b, bias); });
  }
}

} // namespace nt
} // namespace ISA
