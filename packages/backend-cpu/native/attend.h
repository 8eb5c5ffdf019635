// attend: fused attention over cached keys and values, with scores and masks as bytecode. `attend` does the work, `attend_merge` adds
// up the chunks of tokens whose keys were cut, `attend_mass` sums the weights of each slot where they are asked for.
#pragma once
#include "attend-mass.h"
#include "attend-wide.h"

namespace ISA {

static int64_t attend_chunks(const Launch &l) { return attendFind(attendArgs(l), -1, nullptr); }
static void attend_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  const Attend a = attendArgs(l);
  AttendWork work{};
  attendFind(a, chunk, &work);
  if (work.wide) attendWide(a, work, scratch);
  else attendBlock(a, work, scratch);
}

struct MergeWork { int64_t b, from, token; };
// Finds the index-th token whose keys were cut; returns the number of such tokens when there is none.
static int64_t mergeFind(const Attend &a, int64_t index, MergeWork *work) {
  int64_t before = 0;
  for (int64_t b = 0; b < a.batch; b++) {
    int64_t from, count;
    a.span(b, from, count);
    if (count <= 0 || !a.isWide(count)) continue;
    if (index >= 0 && index < before + count) {
      *work = {b, from, from + index - before};
      return before;
    }
    before += count;
  }
  return before;
}

static void mergeHead(const Attend &a, const MergeWork &w, int32_t head, int64_t chunks) {
  const int64_t row = a.partialRow(w.b, w.token, w.from);
  float top = maskedScore, sum = 0, scored = 0;
  for (int64_t c = 0; c < chunks; c++) top = fmax2(top, a.partial(row, head, c)[0]);
  const bool blind = isMasked(top);
  if (a.sink && !a.sigmoid) {
    const float sink = a.sink[head];
    top = fmax2(top, sink);
    sum = vexp_weight(vset(sink - top))[0];
  }
  float *out = a.out + (w.token * a.headCount + head) * a.dV;
  for (int e = 0; e < a.dV; e++) out[e] = 0;
  for (int64_t c = 0; c < chunks && !blind; c++) {
    const float *part = a.partial(row, head, c), f = a.sigmoid ? 1 : vexp_weight(vset(part[0] - top))[0];
    sum += part[1] * f;
    for (int e = 0; e < a.dV; e++) out[e] += part[4 + e] * f;
  }
  const float weight = blind || a.sigmoid ? 1 : 1 / sum;
  for (int e = 0; e < a.dV; e++) out[e] *= weight;
  if (a.lse) a.lse[w.token * a.headCount + head] = isMasked(top) ? maskedScore : top + vlog(vset(sum))[0];
  for (int64_t c = 0; c < chunks; c++) scored += a.partial(row, head, c)[2];
  if (a.work) a.work[w.token * a.headCount + head] = (int32_t)scored;
}

// One more chunk clears the tokens that belong to no batch row.
static int64_t attend_merge_chunks(const Launch &l) {
  const Attend a = attendArgs(l);
  return mergeFind(a, -1, nullptr) + (a.offsets[a.batch] < a.tokens);
}
static void clearRest(const Attend &a) {
  for (int64_t i = a.offsets[a.batch] * a.headCount, end = a.tokens * a.headCount; i < end; i++) {
    for (int e = 0; e < a.dV; e++) a.out[i * a.dV + e] = 0;
    if (a.lse) a.lse[i] = maskedScore;
    if (a.work) a.work[i] = 0;
  }
}
static void attend_merge_run(const Launch &l, int64_t chunk, uint8_t *) {
  const Attend a = attendArgs(l);
  MergeWork work{-1, 0, 0};
  mergeFind(a, chunk, &work);
  if (work.b < 0) return clearRest(a);
  for (int32_t g = 0; g < a.groupCount; g++) {
    const AttendGroup &group = a.groups[g];
    const int64_t chunks = a.keyChunks(work.b, work.token, group);
    for (int32_t i = 0; i < group.count; i++) mergeHead(a, work, a.heads[group.first + i], chunks);
  }
}

static const Kernel attendKernels[] = {{"attend", attend_chunks, attend_run}, {"attend_merge", attend_merge_chunks, attend_merge_run},
                                      {"attend_mass", attend_mass_chunks, attend_mass_run}};

} // namespace ISA
