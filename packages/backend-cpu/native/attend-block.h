// Many queries: blocks of queries (vector lanes) against tiles of 64 keys. S^T = K Q^T, so that the softmax runs over rows without
// horizontal operations and its result is the right operand of O^T = V^T P^T as it lies.
#pragma once
#include "attend-keys.h"
#include "tile-bounds.h"

namespace ISA {

static const int blockGranule = 16, blockWindow = 4096; // keys per class, keys classified at once
static const int blockRows = 4;                         // rows of a micro tile

// c(4, lanes) = a(4, n) b(n, lanes): a's element (i, k) at a[i · row + k · column], b's rows lanes apart.
// With `scale`, the old c times scale is added.
template <bool Scaled> static __attribute__((noinline)) void microTile(int n, const float *a, int64_t row, int64_t column, const float *b, float *c, const float *scale) {
  V sum[blockRows][blockVectors];
  UNROLL for (int i = 0; i < blockRows; i++) UNROLL for (int j = 0; j < blockVectors; j++)
    sum[i][j] = Scaled ? vload(c + i * blockQueries + j * W) * vload(scale + j * W) : vzero();
  for (int k = 0; k < n; k++, a += column, b += blockQueries) {
    V right[blockVectors];
    UNROLL for (int j = 0; j < blockVectors; j++) right[j] = vload(b + j * W);
    UNROLL for (int i = 0; i < blockRows; i++) {
      V left = vbc(a + i * row);
      UNROLL for (int j = 0; j < blockVectors; j++) sum[i][j] = vfma(left, right[j], sum[i][j]);
    }
  }
  UNROLL for (int i = 0; i < blockRows; i++) UNROLL for (int j = 0; j < blockVectors; j++) vstore(c + i * blockQueries + j * W, sum[i][j]);
}

INL V attendSigmoid(V s) { // exactly 0 for masked scores
  V e = vexp_weight(vneg(vabs(s))), r = vset(1) / (vset(1) + e);
  return vsel(s >= vzero(), r, e * r);
}

// Scores to weights in place; updates the running maximum and sum and gives the factor of what was summed before.
static __attribute__((noinline)) void blockWeights(float *s, int rows, bool sigmoid, float *max, float *sum, float *factor) {
  UNROLL for (int j = 0; j < blockVectors; j++) {
    float *p = s + j * W;
    if (sigmoid) {
      for (int r = 0; r < rows; r++) vstore(p + r * blockQueries, attendSigmoid(vload(p + r * blockQueries)));
      vstore(factor + j * W, vset(1));
      vstore(max + j * W, vzero()), vstore(sum + j * W, vset(1));
      continue;
    }
    V old = vload(max + j * W), top = old;
    for (int r = 0; r < rows; r++) top = vmax(top, vload(p + r * blockQueries));
    V f = vexp_weight(old - top), total = vload(sum + j * W) * f;
    for (int r = 0; r < rows; r++) {
      V w = vexp_weight(vload(p + r * blockQueries) - top);
      total += w;
      vstore(p + r * blockQueries, w);
    }
    vstore(max + j * W, top), vstore(sum + j * W, total), vstore(factor + j * W, f);
  }
}

// One block of queries of one head.
struct QueryBlock {
  float *q, *out, *max, *sum, *scoreLanes, *maskLanes; // q (dK, lanes) × scale, out (dV, lanes)
  const float *rows, *positions;
  uint8_t *classes;
  int64_t token, scored;
  int32_t head, count;
};

struct BlockPass {
  const Attend &a;
  const AttendWork &work;
  TileProgram score, mask;
  int32_t blocks, heads;
  QueryBlock block[12];
  float *s, *factor, *kRow, *kPosition, *bounds[4], *intervals, *keyTile, *valueTile;

  TileScene scene(const QueryBlock &x) const {
    return {(float)work.b, (float)x.head, (float)work.group->keyHead, x.rows, x.positions, kRow, kPosition};
  }
  BlockPass(const Attend &a, const AttendWork &work, bool consecutive, AttendScratch scratch)
      : a(a), work(work), score(a.score[consecutive], a.tables, false), mask(a.mask[consecutive], a.tables + a.scoreTables, false) {
    heads = work.group->count;
    blocks = (int32_t)((work.count + blockQueries - 1) / blockQueries);
    s = scratch.take<float>(blockKeys * blockQueries), factor = scratch.take<float>(blockQueries);
    kRow = scratch.take<float>(blockKeys), kPosition = scratch.take<float>(blockKeys);
    for (float *&x : bounds) x = scratch.take<float>(blockWindow / blockGranule);
    intervals = scratch.take<float>(mask.exists() ? mask.header->count * 2 * (blockWindow / blockGranule) : 0);
    keyTile = scratch.take<float>(blockKeys * a.dK), valueTile = scratch.take<float>(blockKeys * a.dV);
    score.placeTile(scratch.take<float>(score.tileFloats())), mask.placeTile(scratch.take<float>(mask.tileFloats()));
    score.base[Score] = mask.base[Score] = s;
    for (int j = 0; j < blocks; j++) placeQueries(j, scratch);
  }

  void placeQueries(int j, AttendScratch &scratch) {
    float *rows = scratch.take<float>(blockQueries), *positions = scratch.take<float>(blockQueries);
    const int64_t token = work.from + j * blockQueries, left = work.from + work.count - token;
    const int count = left < blockQueries ? (int)left : blockQueries;
    for (int t = 0; t < blockQueries; t++) {
      const int64_t at = token + (t < count ? t : count - 1);
      rows[t] = a.rowOf(at) + (t < count ? 0 : t - count + 1), positions[t] = a.positionOf(at);
    }
    for (int g = 0; g < heads; g++) {
      QueryBlock &x = block[g * blocks + j];
      x.q = scratch.take<float>(a.dK * blockQueries), x.out = scratch.take<float>(a.dV * blockQueries);
      x.max = scratch.take<float>(blockQueries), x.sum = scratch.take<float>(blockQueries);
      x.scoreLanes = scratch.take<float>(score.laneFloats()), x.maskLanes = scratch.take<float>(mask.laneFloats());
      x.classes = scratch.take<uint8_t>(blockWindow / blockGranule);
      x.rows = rows, x.positions = positions, x.token = token, x.scored = 0, x.count = count, x.head = a.heads[work.group->first + g];
      for (int t = 0; t < blockQueries; t++) {
        const float *q = a.q + (token + t) * a.qStride + x.head * a.qHeadStride;
        for (int e = 0; e < a.dK; e++) x.q[e * blockQueries + t] = t < count ? q[e] * a.scale : 0;
      }
      for (int i = 0; i < a.dV * blockQueries; i += W) vstore(x.out + i, vzero());
      for (int i = 0; i < blockQueries; i += W) vstore(x.max + i, vset(maskedScore)), vstore(x.sum + i, vzero());
      score.placeLanes(x.scoreLanes), mask.placeLanes(x.maskLanes);
      score.runLanes(scene(x)), mask.runLanes(scene(x));
    }
  }

  // Classes of the granules of [from, from + n) for every block.
  void classify(int64_t from, int n) {
    const int granules = (n + blockGranule - 1) / blockGranule;
    if (mask.exists()) attendKeyBounds(a, work.b, work.group->keyHead, from, n, blockGranule, bounds, bounds + 2);
    for (int i = 0; i < heads * blocks; i++) {
      const QueryBlock &x = block[i];
      if (!mask.exists()) {
        for (int g = 0; g < granules; g++) x.classes[g] = All;
      } else if (i >= blocks && !mask.header->byHead) { // what the first head sees, the others see
        for (int g = 0; g < granules; g++) x.classes[g] = block[i % blocks].classes[g];
      } else {
        TileBounds s{(float)work.b, (float)x.head, (float)work.group->keyHead, {}, {}, {bounds[0], bounds[1]}, {bounds[2], bounds[3]}, granules};
        range(x.rows, x.count, s.qRow), range(x.positions, x.count, s.qPosition);
        tileClassify(mask, s, i % blocks == 0, intervals, x.classes);
      }
    }
  }
  static void range(const float *p, int n, float *bounds) {
    bounds[0] = bounds[1] = p[0];
    for (int i = 1; i < n; i++) bounds[0] = fmin2(bounds[0], p[i]), bounds[1] = fmax2(bounds[1], p[i]);
  }

  // The score of the tile's n keys, then the mask.
  void modify(const QueryBlock &x, int n, bool masked) {
    if (score.exists()) score.placeLanes(x.scoreLanes), score.runTile(scene(x), n);
    if (masked) mask.placeLanes(x.maskLanes), mask.runTile(scene(x), n);
  }

  // One block against the n keys from `slot` on, whose rows are k and v.
  void tile(QueryBlock &x, int n, RowTile k, RowTile v, bool masked) {
    for (int r = 0; r < n; r += blockRows) microTile<false>(a.dK, k.p + r * k.stride, k.stride, 1, x.q, s + r * blockQueries, nullptr);
    modify(x, n, masked);
    blockWeights(s, n, a.sigmoid, x.max, x.sum, factor);
    for (int e = 0; e < a.dV; e += blockRows) microTile<true>(n, v.p + e, 1, v.stride, s, x.out + e * blockQueries, factor);
  }

  void run() {
    const int32_t keyHead = work.group->keyHead, valueHead = work.group->valueHead;
    const int length = a.length(work.b, keyHead), all = heads * blocks, perTile = blockKeys / blockGranule;
    for (int64_t window = 0; window < length; window += blockWindow) {
      const int n = length - window < blockWindow ? (int)(length - window) : blockWindow, granules = (n + blockGranule - 1) / blockGranule;
      classify(window, n);
      for (int t = 0; t < granules; t += perTile) {
        const int end = t + perTile < granules ? t + perTile : granules;
        int low = end, high = t; // granules some block sees
        for (int i = 0; i < all; i++) for (int g = t; g < end; g++) if (block[i].classes[g] != None) low = g < low ? g : low, high = g + 1 > high ? g + 1 : high;
        if (low >= high) continue;
        const int64_t slot = window + low * blockGranule;
        const int keys = (high * blockGranule < n ? high * blockGranule : n) - low * blockGranule;
        const RowTile k = attendKeys(a, work.b, keyHead, slot, keys, true, keyTile);
        const RowTile v = a.shared && keyHead == valueHead ? k : loadRows(a.values, work.b, valueHead, slot, keys, false, false, valueTile);
        for (int i = 0; i < all; i++) {
          QueryBlock &x = block[i];
          int first = low, last = high;
          bool some = false;
          while (first < last && x.classes[first] == None) first++;
          while (last > first && x.classes[last - 1] == None) last--;
          if (first == last) continue;
          for (int g = first; g < last; g++) some |= x.classes[g] != All;
          const int skip = (first - low) * blockGranule, end = (last - low) * blockGranule, mine = (end < keys ? end : keys) - skip;
          if (score.exists() || some) attendKeyNumbers(a, work.b, keyHead, slot + skip, mine, kRow, kPosition);
          x.scored += mine;
          tile(x, mine, {k.p + skip * k.stride, k.stride}, {v.p + skip * v.stride, v.stride}, some);
        }
      }
    }
    for (int i = 0; i < all; i++) finish(block[i]);
  }

  void finish(QueryBlock &x) {
    float lse[blockQueries], weight[blockQueries];
    for (int j = 0; j < blockQueries; j += W) {
      V max = vload(x.max + j), sum = vload(x.sum + j), top = max;
      if (a.sink && !a.sigmoid) {
        V sink = vset(a.sink[x.head]);
        top = vmax(max, sink);
        sum = sum * vexp_weight(max - top) + vexp_weight(sink - top);
      }
      vstore(weight + j, vsel(max <= vset(maskedScore / 2), vzero(), vexp_weight(max - top) / sum));
      vstore(lse + j, vsel(top <= vset(maskedScore / 2), vset(maskedScore), top + vlog(sum)));
    }
    for (int t = 0; t < x.count; t++) {
      float *out = a.out + ((x.token + t) * a.headCount + x.head) * a.dV;
      for (int e = 0; e < a.dV; e++) out[e] = x.out[e * blockQueries + t] * weight[t];
      if (a.lse) a.lse[(x.token + t) * a.headCount + x.head] = lse[t];
      if (a.work) a.work[(x.token + t) * a.headCount + x.head] = (int32_t)x.scored;
    }
  }
};

// Rows of the queries count up by one, as those of the slots do.
static bool isConsecutive(const Attend &a, const AttendWork &work) {
  for (int64_t t = work.from + 1; t < work.from + work.count; t++) if (a.qRow[t] != a.qRow[t - 1] + 1) return false;
  return !a.kRow;
}
static __attribute__((noinline)) void attendBlock(const Attend &a, const AttendWork &work, uint8_t *scratch) {
  BlockPass(a, work, isConsecutive(a, work), {scratch, scratch + a.scratchBytes}).run();
}

} // namespace ISA
