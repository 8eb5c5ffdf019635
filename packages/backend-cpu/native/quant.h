// Packed weights and 16-bit activations, W rows of weights in the W lanes of a vector.
//
// A row of activations is quantised per block of 32 to q = round(x / d), d = max|x| / 32258: with 8 bits SmolLM2 keeps its best token
// in only 95 % of positions, with these in all but 1 %. A block of W weight rows is read where it lies in the file's layout and turned, four values of k at a time, so that lane r of every vector belongs to row r. The dot products
// of a block are exact integers; lane r then adds d_w · d_x · dot (and min_w · d_x · Σq) to its sum in f32, block after block. That
// order is the same for one activation row as for many.
#pragma once
#include "gemm.h"

namespace ISA {
namespace quant {

// How activations lie: q = 254 high + low as two runs of bytes, for instructions that multiply bytes; or 16-bit words, each four as
// 0 2 1 3, for those that multiply pairs of words (SSE2, plain WebAssembly). Both give the same integers.
#if defined(__AVX2__) || defined(__ARM_NEON) || defined(__wasm_relaxed_simd__)
#define ATTUNE_BYTES 1
typedef int8_t X;
#else
#define ATTUNE_BYTES 0
typedef int16_t X;
#endif

// One quantised row: scales, Σq, scale · Σq of its blocks, then 64 bytes of values a block, in either kind.
static const int32_t most = 32258, radix = 254; // 127 · 254; low runs from -127 to 127
INL int64_t rowBytes(int64_t blocks) { return blocks * 76; }
struct Row {
  float *d;
  int32_t *sum;
  float *part;
  X *q;
  Row(uint8_t *at, int64_t blocks) : d((float *)at), sum((int32_t *)at + blocks), part((float *)at + 2 * blocks), q((X *)(at + 12 * blocks)) {}
};

INL void quantise(const float *x, int64_t blocks, Row to) {
  for (int64_t b = 0; b < blocks; b++, x += 32) {
    V tops = vzero(), strange = vzero(); // 0, or NaN when a value is not finite
    for (int i = 0; i < 32; i += W) tops = vmax(vabs(vload(x + i)), tops), strange = strange + (vload(x + i) - vload(x + i));
    float top = vhmax(tops);
    bool zero = !(top > 1e-30f);
    V inverse = vset(zero ? 0 : (float)most / top);
    int32_t q[32], sum = 0;
    for (int i = 0; i < 32; i += W) vistore(q + i, vroundi(vload(x + i) * inverse));
    for (int i = 0; i < 32; i++) sum += q[i];
#if ATTUNE_BYTES
    X *out = to.q + 64 * b;
    for (int i = 0; i < 32; i++) {
      int32_t high = (q[i] + (q[i] < 0 ? -radix / 2 : radix / 2)) / radix;
      out[i] = (int8_t)high, out[32 + i] = (int8_t)(q[i] - radix * high);
    }
#else
    X *out = to.q + 32 * b;
    for (int i = 0; i < 32; i += 4) out[i] = (int16_t)q[i], out[i + 1] = (int16_t)q[i + 2], out[i + 2] = (int16_t)q[i + 1], out[i + 3] = (int16_t)q[i + 3];
#endif
    float d = (zero ? 0 : top / (float)most) + vsum(strange);
    to.d[b] = d, to.sum[b] = sum, to.part[b] = d * (float)sum;
  }
}

// The formats: bytes per block, bytes before the values, whether a minimum follows the scale.
struct Q4_0 { static constexpr int bytes = 18, head = 2, bits = 4; static constexpr bool min = false; };
struct Q4_1 { static constexpr int bytes = 20, head = 4, bits = 4; static constexpr bool min = true; };
struct Q8_0 { static constexpr int bytes = 34, head = 2, bits = 8; static constexpr bool min = false; };

// A block of W rows. Eight vectors of bytes; or sixteen, of words or of nibbles.
struct Weights {
#if ATTUNE_BYTES && !defined(__wasm_relaxed_simd__)
  VI w[8];
#else
  VI w[16];
#endif
  V d, m;
};

// The 32-bit words at p, p + s, p + 2 s …, and halves in the low half of each lane as floats.
INL VI words(const uint8_t *p, int64_t s) {
  VI r;
  UNROLL for (int i = 0; i < W; i++) {
    int32_t x;
    __builtin_memcpy(&x, p + i * s, 4), r[i] = x;
  }
  return r;
}
INL V halves(VI h) {
#if W == 16
  return (V)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)h));
#elif W == 8
  h = h & 0xffff;
  return (V)_mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128((__m256i)h), _mm256_extracti128_si256((__m256i)h, 1)));
#elif defined(__ARM_NEON)
  return (V)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)h)));
#else
  // Not by a product with 2^112: processors are slow at the subnormal numbers it starts from.
  VI m = h & 0x7fff, normal = (m << 13) + (112 << 23) + ((m > 0x7bff) & (112 << 23));
  V tiny = vbits(m + (126 << 23)) - vset(0.5f);
  return vbits(visel(m < 0x400, bits(tiny), normal) | ((h & 0x8000) << 16));
#endif
}

// Sixteen bytes of each row as four vectors of four bytes per lane.
INL void columns(const uint8_t *p, int64_t s, VI *t) {
  VI z[4];
  UNROLL for (int i = 0; i < 4; i++) z[i] = bits(rows4((const Byte *)(p + i * s), s));
  VI ab = low32(z[0], z[1]), cd = low32(z[2], z[3]), AB = high32(z[0], z[1]), CD = high32(z[2], z[3]);
  t[0] = low64(ab, cd), t[1] = high64(ab, cd), t[2] = low64(AB, CD), t[3] = high64(AB, CD);
}

// One block of the W rows p, p + s, p + 2 s … Four-bit values stay 0 … 15: `add` takes 8 off where the format means it.
template <class F> INL void read(const uint8_t *p, int64_t s, Weights &to) {
  VI head = words(p, s), t[8];
  to.d = halves(head);
  if constexpr (F::min) to.m = halves((head >> 16) & 0xffff);
  columns(p + F::head, s, t);
  if constexpr (F::bits == 8) columns(p + F::head + 16, s, t + 4);
#if ATTUNE_BYTES
  if constexpr (F::bits == 4) UNROLL for (int i = 0; i < 4; i++) to.w[i] = t[i] & 0x0f0f0f0f, to.w[4 + i] = (t[i] >> 4) & 0x0f0f0f0f;
  else UNROLL for (int i = 0; i < 8; i++) {
#ifdef __AVX512VNNI__
    to.w[i] = t[i] ^ (int32_t)0x80808080; // value + 128
#elif defined(__wasm_relaxed_simd__) // one factor of its products must be 0 … 127: value + 128 as two nibbles
    VI shifted = t[i] ^ (int32_t)0x80808080;
    to.w[i] = shifted & 0x0f0f0f0f, to.w[8 + i] = (shifted >> 4) & 0x0f0f0f0f;
#else
    to.w[i] = t[i];
#endif
  }
#else
  typedef int16_t S __attribute__((vector_size(16)));
  if constexpr (F::bits == 4) UNROLL for (int i = 0; i < 4; i++) {
    to.w[2 * i] = t[i] & 0x000f000f, to.w[2 * i + 1] = (t[i] >> 8) & 0x000f000f;
    to.w[8 + 2 * i] = (t[i] >> 4) & 0x000f000f, to.w[8 + 2 * i + 1] = (t[i] >> 12) & 0x000f000f;
  } else UNROLL for (int i = 0; i < 8; i++) to.w[2 * i] = (VI)((S)(t[i] << 8) >> 8), to.w[2 * i + 1] = (VI)((S)t[i] >> 8);
#endif
}

INL VI lanes(const X *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return viset(x);
}
// What is stored above what is meant: four-bit values without a minimum mean -8 … 7, and some instructions want bytes from 0 up.
template <class F> constexpr int32_t centre() {
#if defined(__AVX512VNNI__) || defined(__wasm_relaxed_simd__)
  if (F::bits == 8) return 128;
#endif
  return F::bits == 4 && !F::min ? 8 : 0;
}
// Σ q · stored w over a block, per lane.
template <class F> INL VI dot(const VI *w, const X *q) {
#if defined(__AVX512VNNI__) && W == 16
  VI r{};
  UNROLL for (int i = 0; i < 8; i++) r = (VI)_mm512_dpbusd_epi32((__m512i)r, (__m512i)w[i], (__m512i)lanes(q + 4 * i));
  return r;
#elif W == 16
#error "avx512 kernels are built with AVX512-VNNI"
#elif W == 8
  const __m256i one = _mm256_set1_epi16(1);
  if constexpr (F::bits == 4) { // eight products of at most 2 · 15 · 127 fit 16 bits
    __m256i s = _mm256_maddubs_epi16((__m256i)w[0], (__m256i)lanes(q));
    UNROLL for (int i = 1; i < 8; i++) s = _mm256_add_epi16(s, _mm256_maddubs_epi16((__m256i)w[i], (__m256i)lanes(q + 4 * i)));
    return (VI)_mm256_madd_epi16(s, one);
  } else {
    VI r{};
    UNROLL for (int i = 0; i < 8; i++) { // |w| · (q with w's sign)
      __m256i v = (__m256i)w[i];
      r = r + (VI)_mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(v), _mm256_sign_epi8((__m256i)lanes(q + 4 * i), v)), one);
    }
    return r;
  }
#elif defined(__ARM_NEON)
  VI r{};
#ifdef __ARM_FEATURE_DOTPROD
  UNROLL for (int i = 0; i < 8; i++) r = (VI)vdotq_s32((int32x4_t)r, (int8x16_t)w[i], (int8x16_t)lanes(q + 4 * i));
  return r;
#else
  int32x4_t low = vdupq_n_s32(0), high = low;
  UNROLL for (int i = 0; i < 8; i++) {
    int8x16_t a = (int8x16_t)w[i], b = (int8x16_t)lanes(q + 4 * i);
    low = vpadalq_s16(low, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    high = vpadalq_s16(high, vmull_high_s8(a, b));
  }
  return r + (VI)vpaddq_s32(low, high);
#endif
#elif defined(__wasm_relaxed_simd__)
  v128_t s = wasm_i16x8_splat(0), high = s; // eight products of at most 2 · 15 · 127 fit 16 bits
  UNROLL for (int i = 0; i < 8; i++) {
    v128_t x = (v128_t)lanes(q + 4 * i);
    s = wasm_i16x8_add(s, wasm_i16x8_relaxed_dot_i8x16_i7x16(x, (v128_t)w[i]));
    if constexpr (F::bits == 8) high = wasm_i16x8_add(high, wasm_i16x8_relaxed_dot_i8x16_i7x16(x, (v128_t)w[8 + i]));
  }
  VI r = (VI)wasm_i32x4_extadd_pairwise_i16x8(s);
  if constexpr (F::bits == 8) return r + ((VI)wasm_i32x4_extadd_pairwise_i16x8(high) << 4);
  return r;
#else
  VI r{};
  UNROLL for (int i = 0; i < 16; i++) {
#ifdef __wasm__
    r = r + (VI)wasm_i32x4_dot_i16x8((v128_t)w[i], (v128_t)lanes(q + 2 * i));
#else
    r = r + (VI)_mm_madd_epi16((__m128i)w[i], (__m128i)lanes(q + 2 * i));
#endif
  }
  return r;
#endif
}
// The sums of one activation row after a block.
template <class F> INL V add(V sum, const Weights &w, const VI *values, const Row &x, int64_t block) {
#if ATTUNE_BYTES
  VI q = dot<F>(values, x.q + 64 * block) * radix + dot<F>(values, x.q + 64 * block + 32);
#else
  VI q = dot<F>(values, x.q + 32 * block);
#endif
  if constexpr (centre<F>() != 0) q = q - viset(centre<F>() * x.sum[block]);
  sum = vfma(w.d * vset(x.d[block]), vtoi2f(q), sum);
  if constexpr (F::min) sum = vfma(w.m, vset(x.part[block]), sum);
  return sum;
}

} // namespace quant
} // namespace ISA
