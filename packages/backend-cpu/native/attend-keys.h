// What is known of slots: their keys, rotated where they are stored before rotation, their rows and positions.
#pragma once
#include "attend-args.h"
#include "special.h"

namespace ISA {

// Null: the slot's number.
INL const int32_t *attendRows(const Attend &a, int64_t b, int32_t head, int64_t slot) {
  return a.kRow ? a.kRow + b * a.kRowStride[0] + head * a.kRowStride[1] + slot : nullptr;
}
INL const int32_t *attendPositions(const Attend &a, int64_t b, int32_t head, int64_t slot) {
  return a.kPosition ? a.kPosition + b * a.kPositionStride[0] + head * a.kPositionStride[1] + slot : attendRows(a, b, head, slot);
}

// Turns pairs of the first 2F numbers of a key by position × frequency, an f32 angle as everywhere.
static void rotateKey(const Attend &a, float position, float *key) {
  const int f = (int)a.frequencyCount;
  for (int i = 0; i < f; i += W) {
    const int n = f - i < W ? f - i : W;
    V sine, cosine;
    vsincos(vset(position) * vloadn(a.frequencies + i, n), sine, cosine);
    if (a.interleaved) {
      for (int j = 0; j < n; j++) {
        float *pair = key + 2 * (i + j), first = pair[0], second = pair[1];
        pair[0] = first * cosine[j] - second * sine[j], pair[1] = second * cosine[j] + first * sine[j];
      }
    } else {
      const V first = vloadn(key + i, n), second = vloadn(key + f + i, n);
      vstoren(key + i, first * cosine - second * sine, n), vstoren(key + f + i, second * cosine + first * sine, n);
    }
  }
}

// Like loadRows, of the keys the scores are made with.
INL RowTile attendKeys(const Attend &a, int64_t b, int32_t head, int64_t slot, int n, bool whole, float *scratch) {
  const RowTile keys = loadRows(a.keys, b, head, slot, n, whole, a.frequencies != nullptr, scratch);
  const int32_t *positions = attendPositions(a, b, head, slot);
  for (int i = 0; a.frequencies && i < n; i++) rotateKey(a, positions ? (float)positions[i] : (float)(slot + i), scratch + i * keys.stride);
  return keys;
}

// Rows and positions of slots [slot, slot + n) as floats.
static __attribute__((noinline)) void attendKeyNumbers(const Attend &a, int64_t b, int32_t head, int64_t slot, int n, float *rows, float *positions) {
  const int32_t *row = attendRows(a, b, head, slot), *position = attendPositions(a, b, head, slot);
  for (int i = 0; i < n; i++) rows[i] = row ? (float)row[i] : (float)(slot + i);
  for (int i = 0; i < n; i++) positions[i] = position ? (float)position[i] : rows[i];
}

// Smallest and largest row and position of each granule of `size` slots from `slot` on.
static __attribute__((noinline)) void attendKeyBounds(const Attend &a, int64_t b, int32_t head, int64_t slot, int n, int size, float *const rows[2], float *const positions[2]) {
  const int granules = (n + size - 1) / size;
  auto walk = [&](const int32_t *p, float *const bounds[2]) {
    for (int g = 0; g < granules; g++) {
      int end = (g + 1) * size < n ? (g + 1) * size : n;
      int32_t lo = p ? p[g * size] : (int32_t)slot + g * size, hi = p ? lo : (int32_t)slot + end - 1;
      for (int i = g * size + 1; p && i < end; i++) lo = p[i] < lo ? p[i] : lo, hi = p[i] > hi ? p[i] : hi;
      bounds[0][g] = (float)lo, bounds[1][g] = (float)hi;
    }
    for (int g = granules; g % W; g++) bounds[0][g] = bounds[1][g] = 0;
  };
  walk(attendRows(a, b, head, slot), rows);
  walk(attendPositions(a, b, head, slot), positions);
}

} // namespace ISA
