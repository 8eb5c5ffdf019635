// Packed blocks of 32 values (ggml's q8_0, q4_0, q4_1) to and from f32, one block at a time: the arithmetic of tensor/src/codecs.ts.
#pragma once
#include "half.h"

namespace ISA {

static const int64_t codecBlock = 32;

INL uint16_t read16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
INL void write16(uint8_t *p, uint16_t h) { p[0] = (uint8_t)h; p[1] = (uint8_t)(h >> 8); }

INL void decode_q8_0(const uint8_t *p, float *out) {
  float scale = f16_to_f32(read16(p));
  for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)p[2 + i] * scale;
}
INL void decode_q4_0(const uint8_t *p, float *out) {
  float scale = f16_to_f32(read16(p));
  for (int i = 0; i < 16; i++) out[i] = (float)((p[2 + i] & 15) - 8) * scale;
  for (int i = 0; i < 16; i++) out[16 + i] = (float)((p[2 + i] >> 4) - 8) * scale;
}
INL void decode_q4_1(const uint8_t *p, float *out) {
  float scale = f16_to_f32(read16(p)), min = f16_to_f32(read16(p + 2));
  for (int i = 0; i < 16; i++) out[i] = (float)(p[4 + i] & 15) * scale + min;
  for (int i = 0; i < 16; i++) out[16 + i] = (float)(p[4 + i] >> 4) * scale + min;
}

// The value of largest magnitude, the first one of equals.
INL float extreme(const float *x) {
  float best = 0;
  for (int i = 0; i < 32; i++) if (__builtin_fabsf(x[i]) > __builtin_fabsf(best)) best = x[i];
  return best;
}
INL uint8_t nibble(float x, float inverse, float bias) {
  int32_t q = (int32_t)(x * inverse + bias);
  return (uint8_t)(q > 15 ? 15 : q);
}
INL void encode_q8_0(const float *x, uint8_t *p) {
  float scale = __builtin_fabsf(extreme(x)) / 127.0f, inverse = scale != 0 ? 1.0f / scale : 0;
  write16(p, f32_to_f16(scale));
  for (int i = 0; i < 32; i++) {
    float q = x[i] * inverse;
    p[2 + i] = (uint8_t)(int8_t)(q < 0 ? q - 0.5f : q + 0.5f); // half away from zero
  }
}
INL void encode_q4_0(const float *x, uint8_t *p) {
  float scale = extreme(x) / -8.0f, inverse = scale != 0 ? 1.0f / scale : 0;
  write16(p, f32_to_f16(scale));
  for (int i = 0; i < 16; i++) p[2 + i] = (uint8_t)(nibble(x[i], inverse, 8.5f) | nibble(x[i + 16], inverse, 8.5f) << 4);
}
INL void encode_q4_1(const float *x, uint8_t *p) {
  float min = x[0], max = x[0];
  for (int i = 1; i < 32; i++) { min = x[i] < min ? x[i] : min; max = x[i] > max ? x[i] : max; }
  float scale = (max - min) / 15.0f, inverse = scale != 0 ? 1.0f / scale : 0;
  write16(p, f32_to_f16(scale));
  write16(p + 2, f32_to_f16(min));
  for (int i = 0; i < 16; i++) p[4 + i] = (uint8_t)(nibble(x[i] - min, inverse, 0.5f) | nibble(x[i + 16] - min, inverse, 0.5f) << 4);
}

} // namespace ISA
