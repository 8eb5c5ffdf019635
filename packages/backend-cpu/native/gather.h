// gather: rows by index along axis 0, packed and half rows decoded to f32; −1 gives zeros, other indices are clamped.
// scatter: the reverse, in place, in index order; an index outside x writes nothing.
//
//   params  extents of the index (rankI), extents of a row (rankR), rows of x
//   bind    layout (i32), x, index, out (gather) or rows (scatter)
//   layout  rankI, rankR, type of x, type of out | rows, add?, row stride of x, strides of the index (rankI),
//           of out | rows along the index (rankI), of x inside a row (rankR), of out | rows inside a row (rankR)
#pragma once
#include "copy.h"

namespace ISA {

static const int64_t gatherChunk = 8192; // elements

struct IndexedRows {
  int64_t rankI, rankR, typeX, typeY, add, strideX, count;
  const int32_t *index, *outer, *inX, *inY;
  Axes at, row;
  __attribute__((always_inline)) IndexedRows(const Launch &l) {
    const int32_t *layout = l.p<int32_t>(0);
    rankI = layout[0], rankR = layout[1], typeX = layout[2], typeY = layout[3], add = layout[4], strideX = layout[5];
    index = layout + 6, outer = index + rankI, inX = outer + rankI, inY = inX + rankR;
    at.read(l, 0, rankI);
    row.read(l, (int)rankI, rankR);
    count = l.n((int)(rankI + rankR));
  }
};

static void zero(int64_t type, uint8_t *out, int64_t at, int64_t n) { __builtin_memset(element(type, out, at), 0, (size_t)(n * item_bytes(type))); }

static int64_t gather_chunks(const Launch &l) {
  IndexedRows r(l);
  return ceil_div(r.at.total() * r.row.total(), gatherChunk);
}
static void gather_run(const Launch &l, int64_t chunk, uint8_t *) {
  IndexedRows r(l);
  const uint8_t *x = l.p<uint8_t>(1);
  const int32_t *index = l.p<int32_t>(2);
  uint8_t *out = l.p<uint8_t>(3);
  int64_t width = r.row.total(), from = chunk * gatherChunk, end = min64(from + gatherChunk, r.at.total() * width);
  r.at.seek(from / width);
  r.row.seek(from % width);
  for (int64_t done = from % width; from < end; done = 0) {
    int64_t picked = index[r.at.at(r.index)], outBase = r.at.at(r.outer), left = min64(width - done, end - from);
    picked = r.count == 0 || picked == -1 ? -1 : picked < 0 ? 0 : min64(picked, r.count - 1);
    from += left;
    while (left > 0) {
      int64_t n = min64(r.row.inner() - r.row.index[r.rankR - 1], left), to = outBase + r.row.at(r.inY);
      if (picked < 0) zero(r.typeY, out, to, n);
      else convert(r.typeX, x, picked * r.strideX + r.row.at(r.inX), r.inX[r.rankR - 1], r.typeY, out, to, n);
      r.row.advance(n);
      left -= n;
    }
    r.row.seek(0);
    if (from < end) r.at.advance(1);
  }
}

// Cut along the row: every chunk goes through all indices in order, so equal indices keep their order.
static int64_t scatter_piece(const IndexedRows &r) { return r.at.total() * r.row.inner() <= gatherChunk ? r.row.inner() : 64; }
static int64_t scatter_chunks(const Launch &l) {
  IndexedRows r(l);
  if (r.at.total() == 0 || r.row.total() == 0 || r.count == 0) return 0;
  return r.row.total() / r.row.inner() * ceil_div(r.row.inner(), scatter_piece(r));
}
static void scatter_run(const Launch &l, int64_t chunk, uint8_t *) {
  IndexedRows r(l);
  uint8_t *x = l.p<uint8_t>(1);
  const int32_t *index = l.p<int32_t>(2);
  const uint8_t *rows = l.p<uint8_t>(3);
  int64_t pieces = ceil_div(r.row.inner(), scatter_piece(r)), first = chunk % pieces * scatter_piece(r);
  r.row.seek(chunk / pieces * r.row.inner() + first);
  int64_t n = min64(scatter_piece(r), r.row.inner() - first), inX = r.row.at(r.inX), inY = r.row.at(r.inY), strideY = r.inY[r.rankR - 1];
  r.at.seek(0);
  for (int64_t i = 0, total = r.at.total(); i < total; i++) {
    int64_t picked = index[r.at.at(r.index)], from = r.at.at(r.outer) + inY;
    if (i + 1 < total) r.at.advance(1);
    if (picked < 0 || picked >= r.count) continue;
    int64_t to = picked * r.strideX + inX;
    if (!r.add) convert(r.typeY, rows, from, strideY, r.typeX, x, to, n);
    else if (r.typeX == I32) {
      for (int64_t j = 0; j < n; j++) ((int32_t *)x)[to + j] += ((const int32_t *)rows)[from + j * strideY];
    } else {
      float have[256], more[256];
      for (int64_t j = 0; j < n; j += 256) {
        int64_t m = min64(n - j, 256);
        load(r.typeX, x, to + j, 1, m, have);
        load(r.typeY, rows, from + j * strideY, strideY, m, more);
        for (int64_t k = 0; k < m; k++) have[k] += more[k];
        store(r.typeX, x, to + j, m, have);
      }
    }
  }
}
static const Kernel gatherKernels[] = {{"gather", gather_chunks, gather_run}, {"scatter", scatter_chunks, scatter_run}};

} // namespace ISA
