// Half and brain floats as 16-bit words, to nearest even; infinities and NaN kept.
#pragma once
#include "simd.h"

namespace ISA {

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

} // namespace ISA
