// The portable vector layer: V holds W floats, VI holds W int32, for the instruction set this file is compiled for.
//
//   + - * / & | ^ ~ << >> and comparisons work on V and VI directly (compiler vector extensions). A comparison gives a VI mask,
//   all ones where true; `vsel(mask, a, b)` picks. Floats never contract: write `vfma` where a fused multiply-add is meant
//   (SSE2 and plain WASM have none: there it is a multiply and an add).
//   Loads and stores are unaligned. `vloadn / vstoren` touch only the first n < W lanes (the rest read as 0).
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__wasm__)
#include <wasm_simd128.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#ifndef ISA
#define ISA base
#endif
#define INL static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX2__)
#define W 8
#else
#define W 4
#endif

namespace ISA {

typedef float V __attribute__((vector_size(4 * W)));
typedef int32_t VI __attribute__((vector_size(4 * W)));
typedef float VU __attribute__((vector_size(4 * W), aligned(1), may_alias)); // unaligned access
typedef int32_t VIU __attribute__((vector_size(4 * W), aligned(1), may_alias));

INL V vload(const float *p) { return *(const VU *)p; }
INL void vstore(float *p, V a) { *(VU *)p = a; }
INL VI viload(const int32_t *p) { return *(const VIU *)p; }
INL void vistore(int32_t *p, VI a) { *(VIU *)p = a; }
INL V vzero() { return V{}; }
INL V vset(float a) { return a - V{}; }
INL VI viset(int32_t a) { return a + VI{}; }
INL V vbc(const float *p) { return vset(*p); }
INL VI bits(V a) { return (VI)a; }
INL V vbits(VI a) { return (V)a; }
INL V vadd(V a, V b) { return a + b; }
INL V vsub(V a, V b) { return a - b; }
INL V vmul(V a, V b) { return a * b; }
INL V vdiv(V a, V b) { return a / b; }
INL V vneg(V a) { return (V)((VI)a ^ viset((int32_t)0x80000000)); }
INL V vabs(V a) { return (V)((VI)a & viset(0x7fffffff)); }
INL V vsel(VI mask, V a, V b) { return mask ? a : b; }
INL VI visel(VI mask, VI a, VI b) { return mask ? a : b; }
// 0 1 2 … W-1
INL VI viota() {
#if W == 16
  return VI{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif W == 8
  return VI{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return VI{0, 1, 2, 3};
#endif
}
// All ones in the lanes < n.
INL VI vlanes(int64_t n) { return viota() < viset((int32_t)n); }
INL V vtoi2f(VI a) { return __builtin_convertvector(a, V); }
// Truncates towards zero; the value must fit an int32.
INL VI vtrunci(V a) {
#if defined(__wasm__)
  return (VI)wasm_i32x4_trunc_sat_f32x4((v128_t)a);
#else
  return __builtin_convertvector(a, VI);
#endif
}

#if defined(__wasm__)
// vmax / vmin: b where either is NaN (NEON: NaN)
INL V vmax(V a, V b) { return (V)wasm_f32x4_pmax((v128_t)b, (v128_t)a); }
INL V vmin(V a, V b) { return (V)wasm_f32x4_pmin((v128_t)b, (v128_t)a); }
INL V vsqrt(V a) { return (V)wasm_f32x4_sqrt((v128_t)a); }
INL V vfloor(V a) { return (V)wasm_f32x4_floor((v128_t)a); }
INL V vround(V a) { return (V)wasm_f32x4_nearest((v128_t)a); } // ties to even
#ifdef __wasm_relaxed_simd__
INL V vfma(V a, V b, V c) { return (V)wasm_f32x4_relaxed_madd((v128_t)a, (v128_t)b, (v128_t)c); }
#else
INL V vfma(V a, V b, V c) { return a * b + c; }
#endif
INL bool vany(VI m) { return wasm_v128_any_true((v128_t)m); }
INL bool vall(VI m) { return wasm_i32x4_all_true((v128_t)m); }
#elif defined(__AVX512F__)
INL V vmax(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
INL V vmin(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
INL V vsqrt(V a) { return (V)_mm512_sqrt_ps((__m512)a); }
INL V vfloor(V a) { return (V)_mm512_roundscale_ps((__m512)a, 9); }
INL V vround(V a) { return (V)_mm512_roundscale_ps((__m512)a, 8); }
INL V vfma(V a, V b, V c) { return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INL bool vany(VI m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0; }
INL bool vall(VI m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) == 0xffff; }
#elif defined(__AVX2__)
INL V vmax(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
INL V vmin(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
INL V vsqrt(V a) { return (V)_mm256_sqrt_ps((__m256)a); }
INL V vfloor(V a) { return (V)_mm256_floor_ps((__m256)a); }
INL V vround(V a) { return (V)_mm256_round_ps((__m256)a, 8); }
INL V vfma(V a, V b, V c) { return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INL bool vany(VI m) { return _mm256_movemask_ps((__m256)m) != 0; }
INL bool vall(VI m) { return _mm256_movemask_ps((__m256)m) == 0xff; }
#elif defined(__ARM_NEON)
INL V vmax(V a, V b) { return (V)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
INL V vmin(V a, V b) { return (V)vminq_f32((float32x4_t)a, (float32x4_t)b); }
INL V vsqrt(V a) { return (V)vsqrtq_f32((float32x4_t)a); }
INL V vfloor(V a) { return (V)vrndmq_f32((float32x4_t)a); }
INL V vround(V a) { return (V)vrndnq_f32((float32x4_t)a); }
INL V vfma(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INL bool vany(VI m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
INL bool vall(VI m) { return vminvq_u32((uint32x4_t)m) != 0; }
#else
INL V vmax(V a, V b) { return (V)_mm_max_ps((__m128)a, (__m128)b); }
INL V vmin(V a, V b) { return (V)_mm_min_ps((__m128)a, (__m128)b); }
INL V vsqrt(V a) { return (V)_mm_sqrt_ps((__m128)a); }
INL V vround(V a) { // adding 2^23 rounds to even; larger values are whole already
  V magic = vbits((bits(a) & viset((int32_t)0x80000000)) | bits(vset(8388608.0f)));
  V r = vbits(bits((a + magic) - magic) | (bits(a) & viset((int32_t)0x80000000)));
  return vsel(vabs(a) < vset(8388608.0f), r, a);
}
INL V vfloor(V a) { V r = vround(a); return vsel(r > a, r - vset(1.0f), r); }
INL V vfma(V a, V b, V c) { return a * b + c; }
INL bool vany(VI m) { return _mm_movemask_ps((__m128)m) != 0; }
INL bool vall(VI m) { return _mm_movemask_ps((__m128)m) == 0xf; }
#endif
INL V vtrunc(V a) { V r = vfloor(vabs(a)); return vbits(bits(r) | (bits(a) & viset((int32_t)0x80000000))); }
// Rounds half to even.
INL VI vroundi(V a) { return vtrunci(vround(a)); }

INL V vloadn(const float *p, int64_t n) {
#if defined(__AVX512F__)
  return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
  return (V)_mm256_maskload_ps(p, (__m256i)vlanes(n));
#else
  V r{};
  for (int64_t i = 0; i < n; i++) r[i] = p[i];
  return r;
#endif
}
INL void vstoren(float *p, V a, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)a);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, (__m256i)vlanes(n), (__m256)a);
#else
  for (int64_t i = 0; i < n; i++) p[i] = a[i];
#endif
}
INL VI viloadn(const int32_t *p, int64_t n) { return bits(vloadn((const float *)p, n)); }
INL void vistoren(int32_t *p, VI a, int64_t n) { vstoren((float *)p, vbits(a), n); }
// base[index[lane]], every lane's index valid
INL V vgather(const float *base, VI index) {
#if defined(__AVX512F__)
  return (V)_mm512_i32gather_ps((__m512i)index, base, 4);
#elif defined(__AVX2__)
  return (V)_mm256_i32gather_ps(base, (__m256i)index, 4);
#else
  V r;
  for (int i = 0; i < W; i++) r[i] = base[index[i]];
  return r;
#endif
}

// Sum and maximum over lanes; always the same order (halves are folded).
#if defined(__AVX512F__)
INL float vsum(V a) {
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256((__m512)a), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)a), 1)));
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
#elif defined(__AVX2__)
INL float vsum(V a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
#elif defined(__SSE2__)
INL float vsum(V a) {
  __m128 x = (__m128)a;
#else
INL float vsum(V a) { return (a[0] + a[2]) + (a[1] + a[3]); }
#endif
#if defined(__SSE2__)
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
#endif
INL float fmax2(float a, float b) { return a > b ? a : b; }
INL float fmin2(float a, float b) { return a < b ? a : b; }
INL float vhmax(V a) { float m = a[0]; for (int i = 1; i < W; i++) m = fmax2(m, a[i]); return m; }
INL float vhmin(V a) { float m = a[0]; for (int i = 1; i < W; i++) m = fmin2(m, a[i]); return m; }

// Half and brain floats as 16-bit words, to nearest even; infinities and NaN kept.
INL float asf(uint32_t u) { float f; __builtin_memcpy(&f, &u, 4); return f; }
INL uint32_t asu(float f) { uint32_t u; __builtin_memcpy(&u, &f, 4); return u; }
INL float bf16_to_f32(uint16_t h) { return asf((uint32_t)h << 16); }
INL uint16_t f32_to_bf16(float f) {
  uint32_t u = asu(f);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)((u >> 16) | 0x40);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
INL float f16_to_f32(uint16_t h) {
  uint32_t m = (uint32_t)(h & 0x7fff) << 13, s = (uint32_t)(h & 0x8000) << 16;
  float f = asf(m) * asf(0x77800000); // 2^112: moves the exponent, normalises subnormals
  return asf(((h & 0x7c00) == 0x7c00 ? m | 0x7f800000 : asu(f)) | s);
}
INL uint16_t f32_to_f16(float x) {
  uint32_t u = asu(x), s = u & 0x80000000, o;
  u ^= s;
  if (u >= 0x47800000) o = u > 0x7f800000 ? 0x7e00 : 0x7c00;
  else if (u < 0x38800000) o = asu(asf(u) + asf(0x3f000000)) - 0x3f000000; // the float adder rounds the subnormal
  else o = (u + 0xc8000fff + ((u >> 13) & 1)) >> 13;
  return (uint16_t)(o | (s >> 16));
}
#if defined(__AVX512F__)
INL VI vu16(const uint16_t *p) { return (VI)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
#elif defined(__AVX2__)
INL VI vu16(const uint16_t *p) { return (VI)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)); }
#elif defined(__wasm__)
INL VI vu16(const uint16_t *p) { return (VI)wasm_u32x4_load16x4(p); }
#elif defined(__ARM_NEON)
INL VI vu16(const uint16_t *p) { return (VI)vmovl_u16(vld1_u16(p)); }
#else
INL VI vu16(const uint16_t *p) { return (VI)_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)p), _mm_setzero_si128()); }
#endif
INL V vload_bf16(const uint16_t *p) { return vbits(vu16(p) << 16); }
INL V vload_f16(const uint16_t *p) {
#if defined(__AVX512F__)
  return (V)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(__AVX2__)
  return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(__ARM_NEON)
  return (V)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
  VI h = vu16(p), m = (h & 0x7fff) << 13, s = (h & 0x8000) << 16;
  VI f = bits(vbits(m) * vset(5192296858534827628530496329220096.0f));
  return vbits(visel((h & 0x7c00) == viset(0x7c00), m | 0x7f800000, f) | s);
#endif
}
INL void vstore_f16(uint16_t *p, V a) {
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)a, 0));
#elif defined(__AVX2__)
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)a, 0));
#elif defined(__ARM_NEON)
  vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)a)));
#else
  for (int i = 0; i < W; i++) p[i] = f32_to_f16(a[i]);
#endif
}
INL void vstore_bf16(uint16_t *p, V a) { for (int i = 0; i < W; i++) p[i] = f32_to_bf16(a[i]); }
INL V vload_f16n(const uint16_t *p, int64_t n) { uint16_t t[W] = {}; for (int64_t i = 0; i < n; i++) t[i] = p[i]; return vload_f16(t); }
INL V vload_bf16n(const uint16_t *p, int64_t n) { uint16_t t[W] = {}; for (int64_t i = 0; i < n; i++) t[i] = p[i]; return vload_bf16(t); }
INL void vstore_f16n(uint16_t *p, V a, int64_t n) { uint16_t t[W]; vstore_f16(t, a); for (int64_t i = 0; i < n; i++) p[i] = t[i]; }
INL void vstore_bf16n(uint16_t *p, V a, int64_t n) { for (int64_t i = 0; i < n; i++) p[i] = f32_to_bf16(a[i]); }

// 2^n for whole n in [-126, 127]
INL V vexp2i(VI n) { return vbits((n + 127) << 23); }
INL V vexp_poly(V x, V n) { // e^(x - n ln 2), |x - n ln 2| <= ln 2 / 2 (Cephes expf, 2 ulp)
  V r = vfma(n, vset(-0.693359375f), x);
  r = vfma(n, vset(2.12194440e-4f), r);
  V p = vfma(vset(1.9875691500e-4f), r, vset(1.3981999507e-3f));
  p = vfma(p, r, vset(8.3334519073e-3f));
  p = vfma(p, r, vset(4.1665795894e-2f));
  p = vfma(p, r, vset(1.6666665459e-1f));
  p = vfma(p, r, vset(5.0000001201e-1f));
  return vfma(p * r, r, r + vset(1.0f));
}
// e^x over the whole range: 0 and infinity at the ends, subnormal results, NaN kept.
INL V vexp(V x) {
  V c = vmin(vmax(x, vset(-104.0f)), vset(89.0f));
  V n = vround(c * vset(1.44269504088896341f));
  V p = vexp_poly(c, n);
#if defined(__AVX512F__)
  V y = (V)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  VI i = vtrunci(n), h = i >> 1;
  V y = p * vexp2i(h) * vexp2i(i - h);
#endif
  return vsel(x == x, y, x);
}
// e^x for softmax weights: x <= 0 and not NaN. Exactly 0 below -80, so that a weight times a value is never subnormal (slow).
INL V vexp_weight(V x) {
  V c = vmax(x, vset(-80.0f));
  V n = vround(c * vset(1.44269504088896341f));
  V y = vexp_poly(c, n) * vexp2i(vtrunci(n));
  return vbits(bits(y) & (x >= vset(-80.0f)));
}
// Natural logarithm (Cephes logf, 2 ulp): -infinity at 0, NaN below.
INL V vlog(V x) {
  VI tiny = x < vset(1.17549435e-38f);
  V s = vsel(tiny, x * vset(8388608.0f), x);
  VI b = bits(s);
  V e = vtoi2f(((b >> 23) & 0xff) - 126) - vsel(tiny, vset(23.0f), vzero());
  V m = vbits((b & 0x007fffff) | 0x3f000000); // [0.5, 1)
  VI low = m < vset(0.707106781186547524f);
  e = e - vsel(low, vset(1.0f), vzero());
  m = vsel(low, m + m, m) - vset(1.0f);
  V z = m * m;
  V p = vfma(vset(7.0376836292e-2f), m, vset(-1.1514610310e-1f));
  p = vfma(p, m, vset(1.1676998740e-1f));
  p = vfma(p, m, vset(-1.2420140846e-1f));
  p = vfma(p, m, vset(1.4249322787e-1f));
  p = vfma(p, m, vset(-1.6668057665e-1f));
  p = vfma(p, m, vset(2.0000714765e-1f));
  p = vfma(p, m, vset(-2.4999993993e-1f));
  p = vfma(p, m, vset(3.3333331174e-1f));
  V y = p * m * z;
  y = vfma(e, vset(-2.12194440e-4f), y);
  y = vfma(z, vset(-0.5f), y);
  y = vfma(e, vset(0.693359375f), m + y);
  y = vsel(x == vset(__builtin_inff()), x, y);
  y = vsel(x == vzero(), vset(-__builtin_inff()), y);
  return vsel(x >= vzero(), y, vset(__builtin_nanf("")));
}
INL V vsigmoid(V x) { return vset(1.0f) / (vset(1.0f) + vexp(vneg(x))); }
INL V vtanh(V x) { // Cephes tanhf: relative accuracy kept near 0
  V a = vabs(x), z = x * x;
  V big = vset(1.0f) - vset(2.0f) / (vexp(a + a) + vset(1.0f));
  V p = vfma(vset(-5.70498872745e-3f), z, vset(2.06390887954e-2f));
  p = vfma(p, z, vset(-5.37397155531e-2f));
  p = vfma(p, z, vset(1.33314422036e-1f));
  p = vfma(p, z, vset(-3.33332819422e-1f));
  V small = vfma(p * z, x, x);
  V y = vsel(a < vset(0.625f), small, vbits(bits(big) | (bits(x) & viset((int32_t)0x80000000))));
  return vsel(x == x, y, x);
}

} // namespace ISA
