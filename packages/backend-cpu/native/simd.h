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

} // namespace ISA

#include "half.h"
#include "vmath.h"
