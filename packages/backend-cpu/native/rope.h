// rope: rotates pairs of the first 2F numbers of each head by position × frequency, computed in f32 as transformers does.
//
//   params  tokens, heads, width, frequencies, factor
//   bind    layout (i32), x, positions, frequencies, out; scratch: 2 × F rounded up to whole vectors
//   layout  interleaved?, token and head stride of x, of out, stride of positions
#pragma once
#include "special.h"
#include "walk.h"

namespace ISA {

static int64_t rope_tokens(const Launch &l) { return max64(1, 8192 / max64(l.n(1) * l.n(2), 1)); }
static int64_t rope_chunks(const Launch &l) { return l.n(1) == 0 ? 0 : ceil_div(l.n(0), rope_tokens(l)); }

static void rope_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  const int32_t *layout = l.p<int32_t>(0), *positions = l.p<int32_t>(2);
  const int64_t heads = l.n(1), width = l.n(2), half = l.n(3), tokens = rope_tokens(l), padded = (half + W - 1) / W * W;
  const float *frequencies = l.p(3), factor = l.f(4);
  float *cosine = (float *)scratch, *sine = cosine + padded;
  for (int64_t t = chunk * tokens; t < min64((chunk + 1) * tokens, l.n(0)); t++) {
    V position = vset((float)positions[t * layout[5]]), f = vset(factor);
    for (int64_t i = 0; i < half; i += W) {
      V s, c;
      vsincos(position * vload_some(frequencies + i, min64(half - i, W)), s, c);
      vstore(cosine + i, c * f);
      vstore(sine + i, s * f);
    }
    for (int64_t h = 0; h < heads; h++) {
      const float *x = l.p(1) + t * layout[1] + h * layout[2];
      float *out = l.p(4) + t * layout[3] + h * layout[4];
      if (layout[0]) {
        for (int64_t i = 0; i < half; i++) {
          float a = x[2 * i], b = x[2 * i + 1];
          out[2 * i] = a * cosine[i] - b * sine[i];
          out[2 * i + 1] = b * cosine[i] + a * sine[i];
        }
      } else {
        for (int64_t i = 0; i < half; i += W) {
          int64_t n = min64(half - i, W);
          V a = vload_some(x + i, n), b = vload_some(x + half + i, n), c = vload(cosine + i), s = vload(sine + i);
          vstore_some(out + i, a * c - b * s, n);
          vstore_some(out + half + i, b * c + a * s, n);
        }
      }
      for (int64_t i = 2 * half; i < width; i++) out[i] = x[i];
    }
  }
}
static const Kernel ropeKernels[] = {{"rope", rope_chunks, rope_run}};

} // namespace ISA
