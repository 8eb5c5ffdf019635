// random: Philox4x32-10 words as uniform numbers in [0, 1), 24 bits each; number i is word i & 3 of counter i >> 2.
//
//   params  count
//   bind    key (2) i32, out
#pragma once
#include "element.h"

namespace ISA {

static const int64_t randomChunk = 16384;

// Words of W counters from `counter` on: word w of counter c at out[w * W + c].
static void philox(uint32_t counter, uint32_t k0, uint32_t k1, uint32_t *out) {
  uint32_t c0[W], c1[W], c2[W], c3[W];
  for (int i = 0; i < W; i++) c0[i] = counter + (uint32_t)i, c1[i] = c2[i] = c3[i] = 0;
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < W; i++) {
      uint64_t p = (uint64_t)0xd2511f53u * c0[i], q = (uint64_t)0xcd9e8d57u * c2[i];
      c0[i] = (uint32_t)(q >> 32) ^ c1[i] ^ k0;
      c2[i] = (uint32_t)(p >> 32) ^ c3[i] ^ k1;
      c1[i] = (uint32_t)q;
      c3[i] = (uint32_t)p;
    }
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  for (int i = 0; i < W; i++) out[i] = c0[i], out[W + i] = c1[i], out[2 * W + i] = c2[i], out[3 * W + i] = c3[i];
}
INL float unit(uint32_t word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

static int64_t random_chunks(const Launch &l) { return ceil_div(l.n(0), randomChunk); }
static void random_run(const Launch &l, int64_t chunk, uint8_t *) {
  const uint32_t *key = l.p<uint32_t>(0);
  float *out = l.p(1);
  uint32_t words[4 * W];
  for (int64_t from = chunk * randomChunk, end = min64(from + randomChunk, l.n(0)); from < end; from += 4 * W) {
    philox((uint32_t)(from / 4), key[0], key[1], words);
    for (int64_t i = 0; i < min64(4 * W, end - from); i++) out[from + i] = unit(words[(i & 3) * W + (i >> 2)]);
  }
}
static const Kernel randomKernels[] = {{"random", random_chunks, random_run}};

} // namespace ISA
