// Products of a few queries with rows of keys and values; vectors run along the rows.
#pragma once
#include "attend-rows.h"
#include "tile.h"

namespace ISA {

// Queries that share one pass over the rows: as many as the registers hold.
#if W == 4
static const int widePairs = 2;
#elif W == 8
static const int widePairs = 3;
#else
static const int widePairs = 4;
#endif

typedef float Quad __attribute__((vector_size(16)));
INL Quad quadSum(V a) { // the lanes folded to four
#if W == 16
  typedef float Eight __attribute__((vector_size(32)));
  Eight x = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
#elif W == 8
  return __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
#else
  return (Quad)a;
#endif
}
// The sums of four vectors.
INL void vsum4(V a, V b, V c, V d, float *out) {
  Quad p = quadSum(a), q = quadSum(b), r = quadSum(c), s = quadSum(d);
  Quad x = __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
  Quad y = __builtin_shufflevector(r, s, 0, 4, 1, 5) + __builtin_shufflevector(r, s, 2, 6, 3, 7);
  Quad sum = __builtin_shufflevector(x, y, 0, 1, 4, 5) + __builtin_shufflevector(x, y, 2, 3, 6, 7);
  __builtin_memcpy(out, &sum, 16);
}

// s[p · wideKeys + i] = q[p] · k[i] for i < n (up to 3 more are written).
template <int P> static void wideDots(RowTile k, int n, int width, const float *q, float *s) {
  for (int i = 0; i < n; i += 4) {
    const float *row[4];
    UNROLL for (int r = 0; r < 4; r++) row[r] = k.p + (i + r < n ? i + r : n - 1) * k.stride;
    V sum[P][4] = {};
    auto step = [&](int e, auto load) {
      V key[4];
      UNROLL for (int r = 0; r < 4; r++) key[r] = load(row[r] + e);
      UNROLL for (int p = 0; p < P; p++) {
        V query = load(q + p * width + e);
        UNROLL for (int r = 0; r < 4; r++) sum[p][r] = vfma(query, key[r], sum[p][r]);
      }
    };
    int e = 0;
    for (; e + W <= width; e += W) step(e, [](const float *x) { return vload(x); });
    if (e < width) step(e, [&](const float *x) { return vloadn(x, width - e); });
    UNROLL for (int p = 0; p < P; p++) vsum4(sum[p][0], sum[p][1], sum[p][2], sum[p][3], s + p * wideKeys + i);
  }
}

// out[p] = out[p] · factor[p] + Σ weights[p][i] v[i]
template <int P, int E> INL void wideSumsAt(RowTile v, int n, int e, int left, int width, const float *weights, const float *factor, float *out) {
  auto pass = [&](auto load, auto store) {
    V sum[P][E];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int j = 0; j < E; j++) sum[p][j] = load(out + p * width + e + j * W) * vset(factor[p]);
    for (int i = 0; i < n; i++) {
      const float *row = v.p + i * v.stride + e;
      V w[P];
      UNROLL for (int p = 0; p < P; p++) w[p] = vbc(weights + p * wideKeys + i);
      UNROLL for (int j = 0; j < E; j++) {
        V x = load(row + j * W);
        UNROLL for (int p = 0; p < P; p++) sum[p][j] = vfma(w[p], x, sum[p][j]);
      }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int j = 0; j < E; j++) store(out + p * width + e + j * W, sum[p][j]);
  };
  if (left >= E * W) pass([](const float *x) { return vload(x); }, [](float *x, V y) { vstore(x, y); });
  else pass([&](const float *x) { return vloadn(x, left); }, [&](float *x, V y) { vstoren(x, y, left); });
}
template <int P> static void wideSums(RowTile v, int n, int width, const float *weights, const float *factor, float *out) {
  int e = 0;
  for (; e + 4 * W <= width; e += 4 * W) wideSumsAt<P, 4>(v, n, e, 4 * W, width, weights, factor, out);
  for (; e < width; e += W) wideSumsAt<P, 1>(v, n, e, width - e, width, weights, factor, out);
}
template <int P> struct Pairs { static constexpr int count = P; };
// Calls f(Pairs<P>, first) for groups of up to widePairs of `pairs` queries.
template <class F> INL void wideGroups(int pairs, F f) {
  for (int p = 0; p < pairs; p += widePairs) {
    const int n = pairs - p < widePairs ? pairs - p : widePairs;
    if (n == 1) f(Pairs<1>(), p);
    if (n == 2) f(Pairs<2>(), p);
#if W >= 8
    if (n == 3) f(Pairs<3>(), p);
#endif
#if W >= 16
    if (n == 4) f(Pairs<4>(), p);
#endif
  }
}

} // namespace ISA
