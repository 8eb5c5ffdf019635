// Rows of any element type to and from f32. The numbers of `Type` are those of src/kernels/layout.ts.
#pragma once
#include "codec.h"
#include "half.h"
#include "simd.h"

namespace ISA {

enum Type { F32, F16, BF16, I32, U8, BOOL, Q8_0, Q4_0, Q4_1 };

INL bool is_packed(int64_t type) { return type >= Q8_0; }
INL int64_t item_bytes(int64_t type) { return type == F32 || type == I32 ? 4 : type == F16 || type == BF16 ? 2 : 1; }
INL int64_t block_bytes(int64_t type) { return type == Q8_0 ? 34 : type == Q4_0 ? 18 : 20; }
// Address of element `at`; of a packed type, of the block it lies in.
INL uint8_t *element(int64_t type, uint8_t *base, int64_t at) {
  return base + (is_packed(type) ? at / codecBlock * block_bytes(type) : at * item_bytes(type));
}
INL void decode_block(int64_t type, const uint8_t *p, float *out) {
  if (type == Q8_0) decode_q8_0(p, out);
  else if (type == Q4_0) decode_q4_0(p, out);
  else decode_q4_1(p, out);
}
INL void encode_block(int64_t type, const float *x, uint8_t *p) {
  if (type == Q8_0) encode_q8_0(x, p);
  else if (type == Q4_0) encode_q4_0(x, p);
  else encode_q4_1(x, p);
}

// to[i] = base[at + i * stride] as f32, i < n. Packed types: stride 1.
static void load(int64_t type, const uint8_t *base, int64_t at, int64_t stride, int64_t n, float *to) {
  const uint8_t *p = element(type, (uint8_t *)base, at);
  int64_t i = 0;
  switch (type) {
    case F32:
      if (stride == 1) {
        for (; i + W <= n; i += W) vstore(to + i, vload((const float *)p + i));
        for (; i < n; i++) to[i] = ((const float *)p)[i];
      } else for (; i < n; i++) to[i] = ((const float *)p)[i * stride];
      break;
    case F16:
      if (stride == 1) for (; i + W <= n; i += W) vstore(to + i, vload_f16((const uint16_t *)p + i));
      for (; i < n; i++) to[i] = f16_to_f32(((const uint16_t *)p)[i * stride]);
      break;
    case BF16:
      if (stride == 1) for (; i + W <= n; i += W) vstore(to + i, vload_bf16((const uint16_t *)p + i));
      for (; i < n; i++) to[i] = bf16_to_f32(((const uint16_t *)p)[i * stride]);
      break;
    case I32:
      if (stride == 1) for (; i + W <= n; i += W) vstore(to + i, vtoi2f(viload((const int32_t *)p + i)));
      for (; i < n; i++) to[i] = (float)((const int32_t *)p)[i * stride];
      break;
    case U8:
    case BOOL:
      for (; i < n; i++) to[i] = (float)p[i * stride];
      break;
    default:
      for (int64_t skip = at % codecBlock; i < n; p += block_bytes(type), skip = 0) {
        if (skip == 0 && n - i >= codecBlock) {
          decode_block(type, p, to + i);
          i += codecBlock;
          continue;
        }
        float block[32];
        decode_block(type, p, block);
        for (int64_t j = skip; j < codecBlock && i < n; j++) to[i++] = block[j];
      }
  }
}

// Toward zero, modulo 2^32, NaN and infinities 0: what a JS typed array does.
INL int32_t wrap_i32(float x) {
  if (x > -2147483648.0f && x < 2147483648.0f) return (int32_t)x;
  if (!(__builtin_fabsf(x) < 9.2e18f)) return 0;
  return (int32_t)(uint32_t)(uint64_t)(int64_t)x;
}

// base[at + i] = from[i], i < n. Packed types: whole blocks.
static void store(int64_t type, uint8_t *base, int64_t at, int64_t n, const float *from) {
  uint8_t *p = element(type, base, at);
  int64_t i = 0;
  switch (type) {
    case F32:
      for (; i + W <= n; i += W) vstore((float *)p + i, vload(from + i));
      for (; i < n; i++) ((float *)p)[i] = from[i];
      break;
    case F16:
      for (; i + W <= n; i += W) vstore_f16((uint16_t *)p + i, vload(from + i));
      for (; i < n; i++) ((uint16_t *)p)[i] = f32_to_f16(from[i]);
      break;
    case BF16:
      for (; i < n; i++) ((uint16_t *)p)[i] = f32_to_bf16(from[i]);
      break;
    case I32:
      for (; i < n; i++) ((int32_t *)p)[i] = wrap_i32(from[i]);
      break;
    case U8:
      for (; i < n; i++) p[i] = (uint8_t)wrap_i32(from[i]);
      break;
    case BOOL:
      for (; i < n; i++) p[i] = from[i] != 0;
      break;
    default:
      for (; i < n; i += codecBlock, p += block_bytes(type)) encode_block(type, from + i, p);
  }
}

INL int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
INL int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
INL int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace ISA
