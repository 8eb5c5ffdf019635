// topk: the k largest of each row, descending, ties by lower index. Values f32, indices i32; NaN counts as −infinity. A heap whose
// root is the worst kept value lives in the output itself.
//
//   params  rows' outer extents (rank), width
//   bind    layout (i32), in, values, indices
//   layout  rank, input type, stride of the last axis, k, input strides (rank), output strides (rank)
#pragma once
#include "walk.h"

namespace ISA {

struct Best {
  float *value;
  int32_t *index;
  int64_t k, n;
  __attribute__((always_inline)) bool worse(int64_t a, int64_t b) const { return value[a] < value[b] || (value[a] == value[b] && index[a] > index[b]); }
  __attribute__((always_inline)) void swap(int64_t a, int64_t b) {
    float v = value[a];
    int32_t i = index[a];
    value[a] = value[b], index[a] = index[b], value[b] = v, index[b] = i;
  }
  __attribute__((always_inline)) void sink(int64_t at, int64_t size) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
      if (child + 1 < size && worse(child + 1, child)) child++;
      if (!worse(child, at)) return;
      swap(child, at);
    }
  }
  __attribute__((always_inline)) void heap() { for (int64_t j = n / 2; j-- > 0;) sink(j, n); }
  // Offers m values, the first of index `from`; a heap once k are held.
  __attribute__((always_inline)) void offer(const float *x, int64_t from, int64_t m) {
    for (int64_t i = 0; i < m; i++) {
      if (n == k) { // skip whole vectors that cannot enter: equal values come later and lose
        V worst = vset(value[0]);
        while (i + W <= m && !vany(vload(x + i) > worst)) i += W;
        if (i >= m) return;
      }
      float v = x[i] == x[i] ? x[i] : -__builtin_inff();
      if (n < k) {
        value[n] = v, index[n] = (int32_t)(from + i);
        if (++n == k) heap();
      } else if (v > value[0]) {
        value[0] = v, index[0] = (int32_t)(from + i);
        sink(0, k);
      }
    }
  }
};

static int64_t topk_chunks(const Launch &l) {
  Axes axes;
  axes.read(l, 0, l.p<int32_t>(0)[0]);
  return axes.total();
}
static void topk_run(const Launch &l, int64_t chunk, uint8_t *) {
  const int32_t *layout = l.p<int32_t>(0), rank = layout[0], type = layout[1], step = layout[2], *inStrides = layout + 4;
  const int64_t k = layout[3], width = l.n(rank);
  Axes axes;
  axes.read(l, 0, rank);
  axes.seek(chunk);
  int64_t at = axes.at(inStrides), to = axes.at(inStrides + rank);
  Best best = {l.p(2) + to, l.p<int32_t>(3) + to, k, 0};
  if (type == F32 && step == 1) best.offer(l.p(1) + at, 0, width);
  else
    for (int64_t from = 0; from < width; from += 256) {
      float lanes[256];
      int64_t m = min64(width - from, 256);
      load(type, l.p<uint8_t>(1), at + from * step, step, m, lanes);
      best.offer(lanes, from, m);
    }
  if (best.n < k) best.heap();
  for (int64_t j = best.n; j-- > 1;) {
    best.swap(0, j);
    best.sink(0, j);
  }
  for (int64_t j = best.n; j < k; j++) best.value[j] = -__builtin_inff(), best.index[j] = -1;
}
static const Kernel topkKernels[] = {{"topk", topk_chunks, topk_run}};

} // namespace ISA
