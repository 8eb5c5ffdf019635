// The weight each slot got, summed over the queries that read its head: a second pass over scores, which the log-sum-exp of the first
// turns into weights. A unit of work owns some slots of a head and goes through all queries in order.
#pragma once
#include "attend-block.h"

namespace ISA {

static const int massSlots = 256; // of one unit

// Adds the weights that x's queries give to n keys. lse: per lane; far above any score where a lane has no say.
static void massTile(BlockPass &pass, const QueryBlock &x, int64_t slot, int n, RowTile k, bool masked, const float *lse, float *mass) {
  const Attend &a = pass.a;
  for (int r = 0; r < n; r += blockRows) microTile<false>(a.dK, k.p + r * k.stride, k.stride, 1, x.q, pass.s + r * blockQueries, nullptr);
  attendKeyNumbers(a, pass.work.b, pass.work.group->keyHead, slot, n, pass.kRow, pass.kPosition);
  pass.modify(x, n, masked);
  for (int r = 0; r < n; r++) {
    V sum = vzero();
    for (int j = 0; j < blockQueries; j += W) {
      V s = vload(pass.s + r * blockQueries + j);
      sum += a.sigmoid ? vbits(bits(attendSigmoid(s)) & vlanes(x.count - j)) : vexp_weight(s - vload(lse + j));
    }
    mass[r] += vsum(sum);
  }
}

// One block of queries and all heads of a group against slots [from, from + n).
static void massBlock(BlockPass &pass, int64_t from, int n, float *mass) {
  const Attend &a = pass.a;
  const int granules = (n + blockGranule - 1) / blockGranule, perTile = blockKeys / blockGranule;
  pass.classify(from, n);
  for (int t = 0; t < granules; t += perTile) {
    const int end = t + perTile < granules ? t + perTile : granules, first = t * blockGranule;
    const int keys = (end * blockGranule < n ? end * blockGranule : n) - first;
    const RowTile k = attendKeys(a, pass.work.b, pass.work.group->keyHead, from + first, keys, true, pass.keyTile);
    for (int i = 0; i < pass.heads; i++) {
      const QueryBlock &x = pass.block[i];
      bool some = false, any = false;
      for (int g = t; g < end; g++) some |= x.classes[g] != All, any |= x.classes[g] != None;
      if (!any) continue;
      float lse[blockQueries];
      for (int l = 0; l < blockQueries; l++) {
        const float value = l < x.count && a.lse ? a.lse[(x.token + l) * a.headCount + x.head] : maskedScore;
        lse[l] = isMasked(value) ? -maskedScore : value;
      }
      massTile(pass, x, from + first, keys, k, some, lse, mass + first);
    }
  }
}

static int64_t attend_mass_chunks(const Launch &l) {
  const Attend a = attendArgs(l);
  return a.batch * a.keyHeads * ((a.slots + massSlots - 1) / massSlots);
}
static void attend_mass_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  const Attend a = attendArgs(l);
  const int64_t perHead = (a.slots + massSlots - 1) / massSlots, from = chunk % perHead * massSlots;
  const int64_t b = chunk / perHead / a.keyHeads, end = from + massSlots < a.slots ? from + massSlots : a.slots;
  const int32_t head = (int32_t)(chunk / perHead % a.keyHeads);
  float *mass = a.mass + (b * a.keyHeads + head) * a.slotCapacity + from;
  for (int64_t i = from; i < end; i++) mass[i - from] = 0;
  const int64_t length = a.length(b, head), last = end < length ? end : length;
  int64_t first, count;
  a.span(b, first, count);
  for (int32_t g = 0; g < a.groupCount && last > from; g++) {
    if (a.groups[g].keyHead != head) continue;
    for (int64_t t = 0; t < count; t += blockQueries) {
      const AttendWork work{b, first + t, count - t < blockQueries ? count - t : blockQueries, 0, &a.groups[g], false};
      BlockPass pass(a, work, isConsecutive(a, work), {scratch, scratch + a.scratchBytes});
      massBlock(pass, from, (int)(last - from), mass);
    }
  }
}

} // namespace ISA
