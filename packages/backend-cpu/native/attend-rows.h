// Rows of K or V as f32: in place where they are f32, else decoded into scratch memory.
#pragma once
#include "half.h"
#include "simd.h"

namespace ISA {

enum RowType { RowF32, RowF16, RowBf16, RowQ8_0 };

struct Rows {
  const uint8_t *data;
  const int32_t *pages; // (batch, pageCount) or (batch, pageHeads, pageCount): slot s lies in page pages[b][…][s / page] of the pool at s % page; null: not paged
  int64_t batchStride, headStride, slotStride, page, pageCount, pageHeads; // pageHeads: 0 when heads share a table; strides in elements; paged: batchStride is a page's
  int32_t type, width;

  const uint8_t *row(int64_t b, int32_t head, int64_t slot) const {
    if (pages) b = pages[(pageHeads ? b * pageHeads + head : b) * pageCount + slot / page], slot %= page;
    const int64_t at = b * batchStride + head * headStride + slot * slotStride;
    return data + (type == RowQ8_0 ? at / 32 * 34 : type == RowF32 ? at * 4 : at * 2);
  }
  bool together(int64_t slot, int n) const { return !pages || slot / page == (slot + n - 1) / page; }
};

static void decodeRow(const uint8_t *from, int type, int width, float *to) {
  int i = 0;
  if (type == RowF32) {
    const float *p = (const float *)from;
    for (; i + W <= width; i += W) vstore(to + i, vload(p + i));
    for (; i < width; i++) to[i] = p[i];
  } else if (type == RowF16) {
    const uint16_t *p = (const uint16_t *)from;
    for (; i + W <= width; i += W) vstore(to + i, vload_f16(p + i));
    for (; i < width; i++) to[i] = f16_to_f32(p[i]);
  } else if (type == RowBf16) {
    const uint16_t *p = (const uint16_t *)from;
    for (; i + W <= width; i += W) vstore(to + i, vload_bf16(p + i));
    for (; i < width; i++) to[i] = bf16_to_f32(p[i]);
  } else for (; i < width; i += 32, from += 34) {
    uint16_t half;
    __builtin_memcpy(&half, from, 2);
    const float scale = f16_to_f32(half);
    const int8_t *p = (const int8_t *)from + 2;
    for (int j = 0; j < 32; j++) to[i + j] = (float)p[j] * scale;
  }
}

// Slots [slot, slot + n) of a head: `p[i * stride]` is row i. With `whole`, n is rounded up to 4 rows, the added ones zero; with
// `copy`, they lie in `scratch` in any case.
struct RowTile { const float *p; int64_t stride; };
static __attribute__((noinline)) RowTile loadRows(const Rows &rows, int64_t b, int32_t head, int64_t slot, int n, bool whole, bool copy, float *scratch) {
  // A stride of whole 4 KiB pages would put every row into the same few cache lines.
  if (!copy && rows.type == RowF32 && rows.together(slot, n) && !(whole && n % 4) && rows.slotStride % 1024)
    return {(const float *)rows.row(b, head, slot), rows.slotStride};
  const int run = rows.together(slot, n) && rows.slotStride == rows.width ? n : 1; // rows that follow each other without a gap
  for (int i = 0; i < n; i += run)
    decodeRow(rows.row(b, head, slot + i), rows.type, run * rows.width, scratch + (int64_t)i * rows.width);
  for (int i = n * rows.width; whole && i < (n + 3) / 4 * 4 * rows.width; i++) scratch[i] = 0;
  return {scratch, rows.width};
}

} // namespace ISA
