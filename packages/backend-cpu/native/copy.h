// copy: dense f32: params (n), bind (in, out).
// copy_strided: a strided view to dense memory, converting the type; packed types are decoded, encoded or moved block by block.
//
//   params  extents (rank)
//   bind    layout (i32), in, out
//   layout  rank, input type, output type, input strides (rank), output strides (rank)
#pragma once
#include "walk.h"

namespace ISA {

static const int64_t copyChunk = 16384; // elements

// Moves elements of one size without looking into them.
template <class T> static void move(const uint8_t *in, int64_t from, int64_t stride, uint8_t *out, int64_t to, int64_t n) {
  const T *a = (const T *)in + from;
  T *b = (T *)out + to;
  if (stride == 1) __builtin_memcpy(b, a, (size_t)n * sizeof(T));
  else for (int64_t i = 0; i < n; i++) b[i] = a[i * stride];
}
static void convert(int64_t inType, const uint8_t *in, int64_t from, int64_t stride, int64_t outType, uint8_t *out, int64_t to, int64_t n) {
  if (inType == outType && is_packed(inType)) {
    __builtin_memcpy(element(outType, out, to), element(inType, (uint8_t *)in, from), (size_t)(n / codecBlock * block_bytes(inType)));
  } else if (inType == outType) {
    int64_t size = item_bytes(inType);
    if (size == 4) move<uint32_t>(in, from, stride, out, to, n);
    else if (size == 2) move<uint16_t>(in, from, stride, out, to, n);
    else move<uint8_t>(in, from, stride, out, to, n);
  } else if (inType == I32 && (outType == U8 || outType == BOOL)) { // f32 would round
    const int32_t *a = (const int32_t *)in + from;
    for (int64_t i = 0; i < n; i++) out[to + i] = outType == BOOL ? a[i * stride] != 0 : (uint8_t)a[i * stride];
  } else {
    float lanes[256];
    for (int64_t i = 0; i < n; i += 256) {
      int64_t m = min64(n - i, 256);
      load(inType, in, from + i * stride, stride, m, lanes);
      store(outType, out, to + i, m, lanes);
    }
  }
}

static int64_t copy_chunks(const Launch &l) { return ceil_div(l.n(0), copyChunk); }
static void copy_run(const Launch &l, int64_t chunk, uint8_t *) {
  int64_t from = chunk * copyChunk;
  __builtin_memcpy(l.p(1) + from, l.p(0) + from, (size_t)min64(copyChunk, l.n(0) - from) * 4);
}

static int64_t strided_chunks(const Launch &l) {
  Axes axes;
  axes.read(l, 0, l.p<int32_t>(0)[0]);
  return ceil_div(axes.total(), copyChunk);
}
static void strided_run(const Launch &l, int64_t chunk, uint8_t *) {
  const int32_t *layout = l.p<int32_t>(0), rank = layout[0], *inStrides = layout + 3, *outStrides = inStrides + rank;
  Axes axes;
  axes.read(l, 0, rank);
  int64_t from = chunk * copyChunk, end = min64(from + copyChunk, axes.total());
  axes.seek(from);
  while (from < end) {
    int64_t n = min64(axes.inner() - axes.index[rank - 1], end - from);
    convert(layout[1], l.p<uint8_t>(1), axes.at(inStrides), inStrides[rank - 1], layout[2], l.p<uint8_t>(2), axes.at(outStrides), n);
    axes.advance(n);
    from += n;
  }
}
static const Kernel copyKernels[] = {{"copy", copy_chunks, copy_run}, {"copy_strided", strided_chunks, strided_run}};

} // namespace ISA
