// Few queries: vectors run over keys. A unit of work takes one chunk of keys and leaves (max, sum, weighted sum of values) for each
// query; `attend_merge` adds the chunks of a query in order.
#pragma once
#include "attend-block.h"
#include "attend-products.h"

namespace ISA {

static const int wideGranule = 64, wideWindow = 4096; // keys per class, keys classified at once

struct WidePass {
  const Attend &a;
  const AttendWork &work;
  TileProgram score, mask;
  int32_t heads, pairs; // a pair: a token and a head
  float *q, *out, *s, *max, *sum, *factor, *rows, *positions, *kRow, *kPosition, *bounds[4], *intervals, *keyTile, *valueTile;
  uint8_t *classes;
  int64_t scored = 0;

  WidePass(const Attend &a, const AttendWork &work, AttendScratch scratch)
      : a(a), work(work), score(a.score[!a.kRow], a.tables, true), mask(a.mask[!a.kRow], a.tables + a.scoreTables, true) {
    heads = work.group->count, pairs = heads * (int32_t)work.count;
    q = scratch.take<float>(pairs * a.dK), out = scratch.take<float>(pairs * a.dV), s = scratch.take<float>(pairs * wideKeys);
    max = scratch.take<float>(pairs), sum = scratch.take<float>(pairs), factor = scratch.take<float>(pairs);
    rows = scratch.take<float>(pairs), positions = scratch.take<float>(pairs);
    kRow = scratch.take<float>(wideKeys), kPosition = scratch.take<float>(wideKeys);
    for (float *&x : bounds) x = scratch.take<float>(wideWindow / wideGranule);
    intervals = scratch.take<float>(mask.exists() ? mask.header->count * 2 * (wideWindow / wideGranule) : 0);
    classes = scratch.take<uint8_t>(pairs * (wideWindow / wideGranule));
    keyTile = scratch.take<float>(blockKeys * a.dK), valueTile = scratch.take<float>(blockKeys * a.dV);
    score.placeTile(scratch.take<float>(score.tileFloats())), mask.placeTile(scratch.take<float>(mask.tileFloats()));
    score.placeLanes(scratch.take<float>(score.laneFloats())), mask.placeLanes(scratch.take<float>(mask.laneFloats()));
    for (int p = 0; p < pairs; p++) {
      const float *from = a.q + token(p) * a.qStride + head(p) * a.qHeadStride;
      for (int e = 0; e < a.dK; e++) q[p * a.dK + e] = from[e] * a.scale;
      for (int e = 0; e < a.dV; e++) out[p * a.dV + e] = 0;
      max[p] = maskedScore, sum[p] = 0, rows[p] = a.rowOf(token(p)), positions[p] = a.positionOf(token(p));
    }
  }
  int64_t token(int p) const { return work.from + p / heads; }
  int32_t head(int p) const { return a.heads[work.group->first + p % heads]; }
  uint8_t *classesOf(int p) const { return classes + p * (wideWindow / wideGranule); }

  void classify(int64_t from, int n) {
    const int granules = (n + wideGranule - 1) / wideGranule;
    if (mask.exists()) attendKeyBounds(a, work.b, work.group->keyHead, from, n, wideGranule, bounds, bounds + 2);
    for (int p = 0; p < pairs; p++) {
      uint8_t *to = classesOf(p);
      if (!mask.exists()) {
        for (int g = 0; g < granules; g++) to[g] = All;
      } else if (p % heads > 0 && !mask.header->byHead) { // what the token's first head sees, the others see
        for (int g = 0; g < granules; g++) to[g] = to[g - wideWindow / wideGranule];
      } else {
        TileBounds b{(float)work.b, (float)head(p), (float)work.group->keyHead, {rows[p], rows[p]}, {positions[p], positions[p]},
                     {bounds[0], bounds[1]}, {bounds[2], bounds[3]}, granules};
        tileClassify(mask, b, true, intervals, to);
      }
    }
  }

  // Scores of n keys to weights, for one pair.
  void weigh(int p, int n, bool masked) {
    float *x = s + p * wideKeys;
    const TileScene scene{(float)work.b, (float)head(p), (float)work.group->keyHead, rows + p, positions + p, kRow, kPosition};
    score.base[Score] = mask.base[Score] = x;
    score.runLanes(scene), score.runTile(scene, n);
    if (masked) mask.runLanes(scene), mask.runTile(scene, n);
    for (int i = n; i % W; i++) x[i] = maskedScore;
    if (a.sigmoid) {
      for (int i = 0; i < n; i += W) vstore(x + i, attendSigmoid(vload(x + i)));
      max[p] = 0, sum[p] = factor[p] = 1;
      return;
    }
    V highest = vset(max[p]);
    for (int i = 0; i < n; i += W) highest = vmax(highest, vload(x + i));
    const float top = vhmax(highest);
    V total = vzero();
    for (int i = 0; i < n; i += W) {
      V w = vexp_weight(vload(x + i) - vset(top));
      total += w;
      vstore(x + i, w);
    }
    factor[p] = vexp_weight(vset(max[p] - top))[0];
    sum[p] = sum[p] * factor[p] + vsum(total);
    max[p] = top;
  }

  // Keys [slot, slot + n), n <= wideKeys.
  void tile(int64_t slot, int n, const bool *masked) {
    const int32_t keyHead = work.group->keyHead, valueHead = work.group->valueHead;
    scored += n;
    for (int i = 0; i < n; i += blockKeys) {
      const int m = n - i < blockKeys ? n - i : blockKeys;
      const RowTile k = attendKeys(a, work.b, keyHead, slot + i, m, false, keyTile);
      wideGroups(pairs, [&](auto group, int p) { wideDots<decltype(group)::count>(k, m, a.dK, q + p * a.dK, s + p * wideKeys + i); });
    }
    attendKeyNumbers(a, work.b, keyHead, slot, n, kRow, kPosition);
    for (int p = 0; p < pairs; p++) weigh(p, n, masked[p]);
    for (int i = 0; i < n; i += blockKeys) {
      const int m = n - i < blockKeys ? n - i : blockKeys;
      const RowTile v = loadRows(a.values, work.b, valueHead, slot + i, m, false, false, valueTile);
      wideGroups(pairs, [&](auto group, int p) {
        wideSums<decltype(group)::count>(v, m, a.dV, s + p * wideKeys + i, factor + p, out + p * a.dV);
      });
      for (int p = 0; p < pairs; p++) factor[p] = 1;
    }
  }

  // Slots [from, to).
  void span(int64_t from, int64_t to) {
    const int perTile = wideKeys / wideGranule;
    bool masked[attendFewQueries * attendMaxGroup];
    for (int64_t window = from; window < to; window += wideWindow) {
      const int n = to - window < wideWindow ? (int)(to - window) : wideWindow, granules = (n + wideGranule - 1) / wideGranule;
      classify(window, n);
      for (int t = 0; t < granules; t += perTile) {
        const int end = t + perTile < granules ? t + perTile : granules;
        int low = end, high = t;
        for (int p = 0; p < pairs; p++) for (int g = t; g < end; g++) if (classesOf(p)[g] != None) low = g < low ? g : low, high = g + 1 > high ? g + 1 : high;
        if (low >= high) continue;
        for (int p = 0; p < pairs; p++) {
          masked[p] = false;
          for (int g = low; g < high; g++) masked[p] |= classesOf(p)[g] != All;
        }
        const int64_t slot = window + low * wideGranule;
        tile(slot, (high * wideGranule < n ? high * wideGranule : n) - low * wideGranule, masked);
      }
    }
  }

  void run() {
    const int32_t keyHead = work.group->keyHead;
    const int64_t length = a.length(work.b, keyHead), from = work.chunk * a.chunkKeys;
    if (a.blocks) {
      const int64_t per = a.chunkKeys / a.block, count = a.listLength(work.from, work.group->list);
      const int64_t end = (work.chunk + 1) * per < count ? (work.chunk + 1) * per : count;
      if (work.chunk > 0 && work.chunk * per >= count) return;
      for (int64_t j = work.chunk * per; j < end; j++) {
        const int64_t first = a.listed(work.from, work.group->list, j) * a.block, last = first + a.block;
        if (first >= 0) span(first, last < length ? last : length);
      }
    } else span(from, from + a.chunkKeys < length ? from + a.chunkKeys : length);
    int64_t start, count;
    a.span(work.b, start, count);
    for (int p = 0; p < pairs; p++) {
      float *to = a.partial(a.partialRow(work.b, token(p), start), head(p), work.chunk);
      to[0] = max[p], to[1] = sum[p], to[2] = (float)scored;
      for (int e = 0; e < a.dV; e++) to[4 + e] = out[p * a.dV + e];
    }
  }
};

static __attribute__((noinline)) void attendWide(const Attend &a, const AttendWork &work, uint8_t *scratch) {
  WidePass(a, work, {scratch, scratch + a.scratchBytes}).run();
}

} // namespace ISA
