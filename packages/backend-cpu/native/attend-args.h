// The operands of `attend` and how a launch is cut into work. Mirrors src/kernels/attend-plan.ts.
#pragma once
#include "attend-rows.h"
#include "kernel.h"
#include "tile.h"

namespace ISA {

static const int attendMaxTables = 8, attendFewQueries = 4, attendMaxGroup = 8;

struct AttendGroup { int32_t keyHead, valueHead, list, first, count; }; // query heads heads[first … first + count) read these heads, by this list of blocks

struct Attend {
  float *out, *lse, *mass, *partials;
  int32_t *work; // slots scored for each token and head
  const float *q, *sink, *frequencies; // frequencies: keys are rotated by them as they are loaded
  Rows keys, values;
  const int32_t *lengths, *offsets, *qRow, *qPosition, *kRow, *kPosition, *blocks, *blockCounts;
  const AttendGroup *groups;
  const int32_t *heads;
  // [consecutive]: compiled for rows that count up by one
  const int32_t *score[2], *mask[2];
  TileTable tables[attendMaxTables];
  int32_t scoreTables, groupCount;
  int64_t tokens, batch, headCount, keyHeads, qStride, qHeadStride, lengthStride[2], kRowStride[2], kPositionStride[2];
  int64_t chunkKeys, block, blockStride, blockCapacity, blockLists, maxChunks, fewTokens, scratchBytes, slots, slotCapacity, frequencyCount;
  int32_t dK, dV;
  float scale;
  bool sigmoid, interleaved, shared; // shared: values are the first dV numbers of keys

  int length(int64_t b, int32_t head) const { return lengths[b * lengthStride[0] + head * lengthStride[1]]; }
  // First token and number of tokens of batch row b.
  void span(int64_t b, int64_t &from, int64_t &count) const {
    from = offsets[b], count = offsets[b + 1] - from;
    if (from < 0 || from + count > tokens) count = 0;
  }
  // Few queries against many keys: cut by keys, vectors over keys. Depends on this row alone, so companions change no bit.
  bool isWide(int64_t count) const { return blocks || count <= attendFewQueries; }
  int queryBlocks(int count) const { // query blocks per work item, so that a decoded tile of keys serves several
    int64_t fit = 65536 / ((int64_t)(dK + dV) * blockQueries * count), most = 12 / count;
    int64_t n = fit < most ? fit : most;
    return n < 1 ? 1 : (int)n;
  }
  // Of a token: how many blocks it lists, and which.
  int64_t listLength(int64_t token, int32_t list) const { return blockCounts ? blockCounts[token * blockLists + list] : blockCapacity; }
  int32_t listed(int64_t token, int32_t list, int64_t i) const { return blocks[(token * blockLists + list) * blockStride + i]; }
  int64_t keyChunks(int64_t b, int64_t token, const AttendGroup &group) const {
    int64_t slots = blocks ? listLength(token, group.list) * block : length(b, group.keyHead);
    int64_t n = (slots + chunkKeys - 1) / chunkKeys;
    return n < 1 ? 1 : n > maxChunks ? maxChunks : n;
  }
  int64_t partialRow(int64_t b, int64_t token, int64_t from) const { return blocks ? token : b * fewTokens + token - from; }
  // [max, sum, slots scored, unused, dV numbers]
  float *partial(int64_t row, int64_t head, int64_t chunk) const {
    return partials + ((row * headCount + head) * maxChunks + chunk) * (dV + 4);
  }
  float rowOf(int64_t token) const { return (float)qRow[token]; }
  float positionOf(int64_t token) const { return (float)(qPosition ? qPosition : qRow)[token]; }
};

// Reads bindings and parameters in order.
struct LaunchReader {
  const Launch &l;
  int binding, param;
  template <class T> void take(T *&p) { p = (T *)l.pointers[binding++]; }
  int64_t number() { return l.n(param++); }
  void pair(int64_t *x) { x[0] = number(), x[1] = number(); }
  void rows(Rows &r, int32_t width) {
    r.width = width, r.type = (int32_t)number(), r.batchStride = number(), r.headStride = number(), r.slotStride = number();
  }
};

static Attend attendArgs(const Launch &l) {
  Attend a;
  LaunchReader r{l, 0, 0};
  const int32_t *map;
  r.take(a.out), r.take(a.lse), r.take(a.mass), r.take(a.work), r.take(a.partials), r.take(a.q), r.take(a.keys.data), r.take(a.values.data);
  r.take(a.lengths), r.take(a.offsets), r.take(a.qRow), r.take(a.qPosition), r.take(a.kRow), r.take(a.kPosition), r.take(a.sink), r.take(a.frequencies);
  r.take(a.blocks), r.take(a.blockCounts), r.take(a.keys.pages);
  r.take(map), r.take(a.score[0]), r.take(a.score[1]), r.take(a.mask[0]), r.take(a.mask[1]);

  a.tokens = r.number(), a.batch = r.number(), a.headCount = r.number(), a.keyHeads = r.number();
  a.dK = (int32_t)r.number(), a.dV = (int32_t)r.number();
  a.qStride = r.number(), a.qHeadStride = r.number();
  r.rows(a.keys, a.dK), r.rows(a.values, a.dV);
  a.shared = r.number() != 0;
  r.pair(a.lengthStride), r.pair(a.kRowStride), r.pair(a.kPositionStride);
  a.keys.page = a.values.page = r.number(), a.keys.pageCount = a.values.pageCount = r.number(), a.values.pages = a.keys.pages;
  a.keys.pageHeads = a.values.pageHeads = r.number();
  a.block = r.number(), a.blockStride = r.number(), a.blockCapacity = r.number(), a.blockLists = r.number();
  a.chunkKeys = r.number(), a.maxChunks = r.number(), a.fewTokens = r.number(), a.scratchBytes = r.number();
  a.slots = r.number(), a.slotCapacity = r.number(), a.frequencyCount = r.number(), a.interleaved = r.number() != 0;
  a.scale = l.f(r.param++), a.sigmoid = r.number() != 0;
  a.scoreTables = (int32_t)r.number();
  const int tables = (int)r.number();
  for (int t = 0; t < tables; t++) {
    TileTable &x = a.tables[t];
    r.take(x.data), x.integer = r.number() != 0;
    for (int d = 0; d < 3; d++) x.size[d] = (int32_t)r.number(), x.stride[d] = (int32_t)r.number();
  }
  a.groupCount = map[0], a.groups = (const AttendGroup *)(map + 4), a.heads = map + 4 + 5 * a.groupCount;
  return a;
}

// One unit of work: query blocks of a row against all keys, or few queries against one chunk of keys, for one group of heads.
struct AttendWork { int64_t b, from, count, chunk; const AttendGroup *group; bool wide; };

// Finds unit `index`; returns the number of units when there is no such one.
static int64_t attendFind(const Attend &a, int64_t index, AttendWork *work) {
  int64_t before = 0;
  for (int64_t b = 0; b < a.batch; b++) {
    int64_t from, count;
    a.span(b, from, count);
    if (count <= 0) continue;
    const bool wide = a.isWide(count);
    for (int32_t g = 0; g < a.groupCount; g++) {
      const AttendGroup &group = a.groups[g];
      const int64_t step = wide ? 0 : a.queryBlocks(group.count) * blockQueries;
      const int64_t chunks = !wide ? (count + step - 1) / step : a.blocks ? count * a.maxChunks : a.keyChunks(b, from, group);
      if (index >= 0 && index < before + chunks) {
        int64_t at = index - before;
        if (!wide) { // late queries see more keys: first, so that threads end together
          int64_t skip = (chunks - 1 - at) * step, left = count - skip;
          *work = {b, from + skip, left < step ? left : step, 0, &group, false};
        } else if (a.blocks) *work = {b, from + at / a.maxChunks, 1, at % a.maxChunks, &group, true};
        else *work = {b, from, count, at, &group, true};
        return before;
      }
      before += chunks;
    }
  }
  return before;
}

// Hands out pieces of a thread's scratch memory; stops the program rather than write past it.
struct AttendScratch {
  uint8_t *at, *end;
  template <class T> T *take(int64_t n) {
    T *p = (T *)at;
    at += (n * (int64_t)sizeof(T) + 63) & ~(int64_t)63;
    if (at > end) __builtin_trap();
    return p;
  }
};

} // namespace ISA
