// matmul_experts: each token by the matrices of its own experts.
//
//   params  tokens, experts per token (K), experts, out, in
//   bind    layout (i32), x, weight, routes, bias or null, out (tokens, K, out)
//   layout  type of the weight; strides of x (token, route), of the weight (expert, row), of the routes (2); type and strides of the bias
//   scratch `rows` weight rows as f32, then the routes of an expert (i32)
//
// Few routes: a chunk is one route and some columns. Many: a chunk is one expert and some columns, for all routes that name it, so
// that a weight row is decoded once. A dot product is summed in the same order either way.
#pragma once
#include "walk.h"

namespace ISA {

struct Experts {
  static const int rows = 4;
  const int32_t *layout, *routes;
  const float *x;
  const uint8_t *weight, *bias;
  float *out;
  int64_t tokens, k, experts, n, width;
  __attribute__((always_inline)) Experts(const Launch &l)
      : layout(l.p<int32_t>(0)), routes(l.p<int32_t>(3)), x(l.p(1)), weight(l.p<uint8_t>(2)), bias(l.p<uint8_t>(4)), out(l.p(5)), tokens(l.n(0)), k(l.n(1)), experts(l.n(2)), n(l.n(3)), width(l.n(4)) {}
  __attribute__((always_inline)) int64_t count() const { return tokens * k; }
  __attribute__((always_inline)) bool few() const { return count() <= experts; }
  __attribute__((always_inline)) int64_t columns() const {
    int64_t shared = few() ? 1 : ceil_div(count(), experts);
    return max64(131072 / max64(width * shared, 1) / rows * rows, rows);
  }
  __attribute__((always_inline)) int64_t across() const { return ceil_div(n, columns()); }
  // Expert of a route, −1 where there is none.
  __attribute__((always_inline)) int64_t expert(int64_t route) const {
    int64_t e = routes[route / k * layout[5] + route % k * layout[6]];
    return e >= 0 && e < experts ? e : -1;
  }
  __attribute__((always_inline)) const float *input(int64_t route) const { return x + route / k * layout[1] + route % k * layout[2]; }
};

// sums[i * X + j] = w[i] · x[j]
template <int X> INL void experts_dots(const float *const *w, const float *const *x, int64_t width, float *sums) {
  V sum[Experts::rows * X];
  UNROLL for (int i = 0; i < Experts::rows * X; i++) sum[i] = vzero();
  int64_t at = 0;
  for (; at + W <= width; at += W) {
    V in[X];
    UNROLL for (int j = 0; j < X; j++) in[j] = vload(x[j] + at);
    UNROLL for (int i = 0; i < Experts::rows; i++) {
      V row = vload(w[i] + at);
      UNROLL for (int j = 0; j < X; j++) sum[i * X + j] = vfma(row, in[j], sum[i * X + j]);
    }
  }
  if (at < width)
    UNROLL for (int i = 0; i < Experts::rows; i++) UNROLL for (int j = 0; j < X; j++)
      sum[i * X + j] = vfma(vloadn(w[i] + at, width - at), vloadn(x[j] + at, width - at), sum[i * X + j]);
  UNROLL for (int i = 0; i < Experts::rows * X; i++) sums[i] = vsum(sum[i]);
}

// Columns [from, to) of an expert for some routes.
static void experts_columns(const Experts &m, int64_t expert, int64_t from, int64_t to, const int32_t *list, int64_t count, float *scratch) {
  const int rows = Experts::rows;
  const int64_t type = m.layout[0];
  for (int64_t col = from; col < to; col += rows) {
    const float *w[rows];
    float bias[rows] = {};
    const int64_t used = min64(rows, to - col);
    for (int i = 0; i < rows; i++) {
      int64_t at = expert * m.layout[3] + (col + min64(i, used - 1)) * m.layout[4];
      if (type == F32) w[i] = (const float *)m.weight + at;
      else if (i >= used) w[i] = w[used - 1];
      else {
        load(type, m.weight, at, 1, m.width, scratch + i * m.width);
        w[i] = scratch + i * m.width;
      }
    }
    if (m.bias) load(m.layout[7], m.bias, expert * m.layout[8] + col * m.layout[9], m.layout[9], used, bias);
    for (int64_t r = 0; r < count;) {
      const float *x[2] = {m.input(list[r]), m.input(list[min64(r + 1, count - 1)])};
      const int together = r + 1 < count ? 2 : 1;
      float sums[2 * rows];
      if (together == 2) experts_dots<2>(w, x, m.width, sums);
      else experts_dots<1>(w, x, m.width, sums);
      for (int j = 0; j < together; j++)
        for (int64_t i = 0; i < used; i++) m.out[list[r + j] * m.n + col + i] = sums[i * together + j] + bias[i];
      r += together;
    }
  }
}

static int64_t experts_chunks(const Launch &l) {
  Experts m(l);
  return (m.few() ? m.count() : m.experts) * m.across();
}
static void experts_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  Experts m(l);
  const int64_t part = chunk % m.across(), which = chunk / m.across();
  const int64_t from = part * m.columns(), to = min64(from + m.columns(), m.n);
  int32_t *list = (int32_t *)scratch + Experts::rows * m.width;
  int64_t count = 0;
  const int64_t first = m.few() ? which : 0, last = m.few() ? which + 1 : m.count();
  const int64_t expert = m.few() ? m.expert(which) : which;
  for (int64_t r = first; r < last; r++) {
    const int64_t e = m.expert(r);
    // Routes without an expert belong to their own chunk, or to the first expert's.
    if (e < 0 && (m.few() || which == 0)) __builtin_memset(m.out + r * m.n + from, 0, (size_t)(to - from) * 4);
    else if (e == expert) list[count++] = (int32_t)r;
  }
  if (count > 0) experts_columns(m, expert, from, to, list, count, (float *)scratch);
}
static const Kernel expertsKernels[] = {{"matmul_experts", experts_chunks, experts_run}};

} // namespace ISA
