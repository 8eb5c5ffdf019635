// scan: linear recurrence S ← exp(decay) ⊙ S + k ⊗ u over the tokens of each batch row, token by token. A chunk is one state head of one
// batch row and a slice of value columns; columns never meet, so neither the slice nor the other rows change a bit.
//
//   params  batch rows, state heads, dK, dV, decay (0 none, 1 per head, 2 per channel), delta (0 | 1), scale
//   bind    layout (i32), heads (i32), q, k, v, initial, offsets, decay or null, beta or null, out, state
//   layout  strides of q (3), k (3), v (3), initial (4), offsets, decay (3), beta (2), out (2)
//   heads   key head and value head of each state head; first reader of each state head and the end; then per reader its output head, its query head
//   scratch dK × slice state, 2 × dK
#pragma once
#include "walk.h"

namespace ISA {

static const int64_t scanSlice = 64; // columns: a state of 128 × 64 stays in the first-level cache

struct Scan {
  const int32_t *layout, *heads;
  int64_t rows, states, dk, dv, decay;
  bool delta;
  float scale;
  __attribute__((always_inline)) Scan(const Launch &l)
      : layout(l.p<int32_t>(0)), heads(l.p<int32_t>(1)), rows(l.n(0)), states(l.n(1)), dk(l.n(2)), dv(l.n(3)), decay(l.n(4)), delta(l.n(5) != 0), scale(l.f(6)) {}
  __attribute__((always_inline)) int64_t slices() const { return ceil_div(dv, scanSlice); }
};

// n values `stride` apart.
INL void scan_take(const float *from, int64_t stride, int64_t n, float *to) {
  for (int64_t i = 0; i < n; i++) to[i] = from[i * stride];
}

// Decays and updates `c` vectors of columns of the state; `u` holds the values, then what was written.
template <int C> INL void scan_update(float *s, int64_t dk, const float *key, const float *kept, int64_t step, float beta, bool delta, V *u) {
  if (delta) {
    V seen[C] = {};
    for (int64_t i = 0; i < dk; i++) {
      V f = vset(kept ? kept[i * step] : 1.0f), x = vset(key[i]);
      for (int c = 0; c < C; c++) {
        float *at = s + i * scanSlice + c * W;
        V y = vload(at);
        if (kept) vstore(at, y = y * f);
        seen[c] = vfma(x, y, seen[c]);
      }
    }
    for (int c = 0; c < C; c++) u[c] = (u[c] - seen[c]) * vset(beta);
    kept = nullptr;
  }
  for (int64_t i = 0; i < dk; i++) {
    V f = vset(kept ? kept[i * step] : 1.0f), x = vset(key[i]);
    for (int c = 0; c < C; c++) {
      float *at = s + i * scanSlice + c * W;
      V y = vload(at);
      vstore(at, vfma(x, u[c], kept ? y * f : y));
    }
  }
}

template <int C> INL void scan_read(const float *s, int64_t dk, const float *query, V *y) {
  for (int c = 0; c < C; c++) y[c] = vzero();
  for (int64_t i = 0; i < dk; i++) {
    V x = vset(query[i]);
    for (int c = 0; c < C; c++) y[c] = vfma(x, vload(s + i * scanSlice + c * W), y[c]);
  }
}

static int64_t scan_chunks(const Launch &l) { Scan a(l); return a.rows * a.states * a.slices(); }
static void scan_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  Scan a(l);
  const int64_t slice = chunk % a.slices(), p = chunk / a.slices() % a.states, b = chunk / a.slices() / a.states;
  const int64_t first = slice * scanSlice, width = min64(a.dv - first, scanSlice);
  const int32_t *qs = a.layout, *ks = qs + 3, *vs = qs + 6, *is = qs + 9, *ds = qs + 14, *bs = qs + 17, *os = qs + 19;
  const int32_t *readers = a.heads + 2 * a.states, *pairs = readers + a.states + 1;
  const int32_t *offsets = l.p<int32_t>(6);
  float *state = l.p(10) + (b * a.states + p) * a.dk * a.dv + first;
  float *s = (float *)scratch, *key = s + a.dk * scanSlice, *kept = key + a.dk;
  const float *initial = l.p(5) + b * is[0] + p * is[1] + first * is[3];
  for (int64_t i = 0; i < a.dk; i++) {
    scan_take(initial + i * is[2], is[3], width, s + i * scanSlice);
    for (int64_t j = width; j < scanSlice; j++) s[i * scanSlice + j] = 0;
  }
  for (int64_t t = offsets[b * qs[13]]; t < offsets[(b + 1) * qs[13]]; t++) {
    scan_take(l.p(3) + t * ks[0] + a.heads[p] * ks[1], ks[2], a.dk, key);
    const float *value = l.p(4) + t * vs[0] + a.heads[a.states + p] * vs[1] + first * vs[2];
    if (a.decay) {
      const float *d = l.p(7) + t * ds[0] + p * ds[1];
      const int64_t n = a.decay == 1 ? 1 : a.dk;
      scan_take(d, ds[2], n, kept);
      for (int64_t i = 0; i < n; i += W) vstore_some(kept + i, vexp(vload_some(kept + i, min64(n - i, W))), min64(n - i, W));
    }
    const float beta = l.p(8) ? l.p(8)[t * bs[0] + p * bs[1]] : 1.0f;
    const float *decay = a.decay ? kept : nullptr;
    // Four vectors of columns at a time, then one.
    for (int64_t j = 0; j < width;) {
      float some[4 * W];
      const bool wide = width - j > 3 * W;
      const int64_t n = min64(width - j, wide ? 4 * W : W);
      scan_take(value + j * vs[2], vs[2], n, some);
      for (int64_t i = n; i < (wide ? 4 * W : W); i++) some[i] = 0;
      V u[4];
      for (int c = 0; c < (wide ? 4 : 1); c++) u[c] = vload(some + c * W);
      if (wide) scan_update<4>(s + j, a.dk, key, decay, a.decay == 2, beta, a.delta, u);
      else scan_update<1>(s + j, a.dk, key, decay, a.decay == 2, beta, a.delta, u);
      j += n;
    }
    for (int64_t r = readers[p]; r < readers[p + 1]; r++) {
      scan_take(l.p(2) + t * qs[0] + pairs[2 * r + 1] * qs[1], qs[2], a.dk, key);
      float *out = l.p(9) + t * os[0] + pairs[2 * r] * os[1] + first;
      for (int64_t j = 0; j < width;) {
        const bool wide = width - j > 3 * W;
        V y[4];
        if (wide) scan_read<4>(s + j, a.dk, key, y);
        else scan_read<1>(s + j, a.dk, key, y);
        for (int c = 0; c < (wide ? 4 : 1) && j < width; c++, j += W) vstore_some(out + j, y[c] * vset(a.scale), min64(width - j, W));
      }
    }
  }
  for (int64_t i = 0; i < a.dk; i++) __builtin_memcpy(state + i * a.dv, s + i * scanSlice, (size_t)width * 4);
}
static const Kernel scanKernels[] = {{"scan", scan_chunks, scan_run}};

} // namespace ISA
