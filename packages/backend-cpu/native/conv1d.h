// conv1d: causal depthwise convolution of each batch row's tokens, continued from its tail; conv1d_tail: the new tail.
//
//   params  tokens, channels, taps, batch rows
//   bind    layout (i32), x, weight, tail, offsets, bias or null, out (y | new tail)
//   layout  types of weight, tail, bias; row stride of x; strides of weight (2), of tail (2), of offsets, of out (rows)
//   scratch (2 × taps + 1) × channels: the taps by channel, rows of the tail, the bias
#pragma once
#include "walk.h"

namespace ISA {

struct Conv {
  const int32_t *layout, *offsets;
  const float *x;
  const uint8_t *tail;
  int64_t n, channels, taps, rows;
  __attribute__((always_inline)) Conv(const Launch &l)
      : layout(l.p<int32_t>(0)), offsets(l.p<int32_t>(4)), x(l.p(1)), tail(l.p<uint8_t>(3)), n(l.n(0)), channels(l.n(1)), taps(l.n(2)), rows(l.n(3)) {}
  __attribute__((always_inline)) int64_t start(int64_t row) const { return offsets[row * layout[8]]; }
  // The last batch row that begins at or before token t.
  __attribute__((always_inline)) int64_t row_of(int64_t t) const {
    int64_t low = 0, high = rows; // start(low) <= t < start(high), as far as they exist
    while (high - low > 1) {
      int64_t mid = (low + high) / 2;
      if (start(mid) <= t) low = mid;
      else high = mid;
    }
    return low;
  }
  // Input `at` places after the row's old tail began, as f32; `space` holds it where it must be converted.
  __attribute__((always_inline)) const float *input(int64_t row, int64_t at, float *space) const {
    if (at >= taps - 1) return x + (start(row) + at - (taps - 1)) * layout[3];
    load(layout[1], tail, row * layout[6] + at * layout[7], 1, channels, space);
    return space;
  }
};

static int64_t conv1d_tokens(const Launch &l) { return max64(1, 8192 / max64(l.n(1), 1)); }
static int64_t conv1d_chunks(const Launch &l) { return l.n(3) == 0 ? 0 : ceil_div(l.n(0), conv1d_tokens(l)); }
static void conv1d_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  Conv c(l);
  const int64_t channels = c.channels, taps = c.taps;
  float *weight = (float *)scratch, *space = weight + taps * channels, *bias = space + taps * channels;
  for (int64_t k = 0; k < taps; k++) load(c.layout[0], l.p<uint8_t>(2), k * c.layout[5], c.layout[4], channels, weight + k * channels);
  for (int64_t i = 0; i < channels; i++) bias[i] = 0;
  if (l.p(5)) load(c.layout[2], l.p<uint8_t>(5), 0, 1, channels, bias);
  for (int64_t t = chunk * conv1d_tokens(l); t < min64((chunk + 1) * conv1d_tokens(l), c.n); t++) {
    int64_t row = c.row_of(t), time = t - c.start(row);
    float *out = l.p(6) + t * c.layout[9];
    for (int64_t i = 0; i < channels; i++) out[i] = bias[i];
    for (int64_t k = 0; k < taps; k++) {
      const float *in = c.input(row, time + k, space + k * channels), *w = weight + k * channels;
      for (int64_t i = 0; i < channels; i += W) {
        int64_t n = min64(channels - i, W);
        vstore_some(out + i, vfma(vload_some(in + i, n), vload_some(w + i, n), vload_some(out + i, n)), n);
      }
    }
  }
}

static int64_t conv1d_tail_chunks(const Launch &l) { return l.n(3); }
static void conv1d_tail_run(const Launch &l, int64_t row, uint8_t *scratch) {
  Conv c(l);
  int64_t count = c.start(row + 1) - c.start(row);
  for (int64_t m = 0; m < c.taps - 1; m++)
    __builtin_memcpy(l.p(6) + row * c.layout[9] + m * c.channels, c.input(row, m + count, (float *)scratch), (size_t)c.channels * 4);
}
static const Kernel conv1dKernels[] = {{"conv1d", conv1d_chunks, conv1d_run}, {"conv1d_tail", conv1d_tail_chunks, conv1d_tail_run}};

} // namespace ISA
