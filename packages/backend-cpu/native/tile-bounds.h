// The same bytecode over [lo, hi] pairs: which granules of keys can any query of a block see? Lanes are granules.
// Of a bool, lo means "true everywhere", hi "true somewhere". Bounds only ever err towards "some".
#pragma once
#include "tile.h"

namespace ISA {

enum TileClass : uint8_t { None, Some, All };

// What is known of one block of queries and of `granules` granules of keys.
struct TileBounds {
  float b, h, kv, qRow[2], qPosition[2];
  const float *kRow[2], *kPosition[2]; // [granules rounded up to W]
  int granules;
};

static const float anyNumber = 3e38f;
static const int tableWalk = 1024; // entries looked at to bound one table read

// Bounds of a table over a box of indices; of anything at all when the box is large.
static __attribute__((noinline)) void tableBounds(const TileTable &t, const float *lo, const float *hi, float &l, float &h) {
  int32_t from[3], to[3];
  int64_t entries = 1;
  for (int d = 0; d < 3; d++) {
    float last = (float)(t.size[d] - 1);
    from[d] = (int32_t)fmin2(fmax2(lo[d], 0), last);
    to[d] = (int32_t)fmin2(fmax2(hi[d], 0), last);
    entries *= to[d] - from[d] + 1;
  }
  l = -anyNumber, h = anyNumber;
  if (entries > tableWalk) return;
  l = anyNumber, h = -anyNumber;
  for (int32_t x = from[0]; x <= to[0]; x++)
    for (int32_t y = from[1]; y <= to[1]; y++)
      for (int32_t z = from[2]; z <= to[2]; z++) {
        const float *p = t.data + (int64_t)x * t.stride[0] + (int64_t)y * t.stride[1] + (int64_t)z * t.stride[2];
        float value = t.integer ? (float)*(const int32_t *)p : *p;
        l = fmin2(l, value), h = fmax2(h, value);
      }
}

INL void boundProducts(V w, V x, V y, V z, V &l, V &h) { l = vmin(vmin(w, x), vmin(y, z)), h = vmax(vmax(w, x), vmax(y, z)); }
// Polynomials are not monotone to the last bit.
INL void boundLoosely(V &l, V &h) { l = l - vabs(l) * vset(1e-5f), h = h + vabs(h) * vset(1e-5f); }
// Overflow and 0 · infinity know nothing.
INL void boundSettle(V &l, V &h) {
  l = vsel((l == l) & (l > vset(-anyNumber)), l, vset(-anyNumber));
  h = vsel((h == h) & (h < vset(anyNumber)), h, vset(anyNumber));
}

// Bounds of one instruction over W granules from its operands' bounds [a, A], [b, B], [c, C].
INL void boundStep(int op, V a, V A, V b, V B, V c, V C, V &l, V &h) {
  const V zero = vzero();
  switch (op) {
  case OpLt: l = vbits(A < b), h = vbits(~(B <= a)); return;
  case OpLe: l = vbits(A <= b), h = vbits(~(B < a)); return;
  case OpEq: l = vbits((a == A) & (b == B) & (a == b)), h = vbits(~((A < b) | (B < a))); return;
  case OpAnd: l = vbits(bits(a) & bits(b)), h = vbits(bits(A) & bits(B)); return;
  case OpOr: l = vbits(bits(a) | bits(b)), h = vbits(bits(A) | bits(B)); return;
  case OpNot: l = vbits(~bits(A)), h = vbits(~bits(a)); return;
  case OpSelect: // of numbers; a select of bools is compiled to and, or, not
    l = vsel(bits(a), b, vsel(bits(A), vmin(b, c), c)), h = vsel(bits(a), B, vsel(bits(A), vmax(B, C), C)); return;
  case OpAdd: l = a + b, h = A + B; break;
  case OpSub: l = a - B, h = A - b; break;
  case OpMul: boundProducts(a * b, a * B, A * b, A * B, l, h); break;
  case OpDiv: {
    boundProducts(a / b, a / B, A / b, A / B, l, h);
    VI across = (b <= zero) & (B >= zero);
    l = vsel(across, vset(-anyNumber), l), h = vsel(across, vset(anyNumber), h);
    break;
  }
  case OpMod: { // within one period both ends move together
    V from = vfloor(a / b);
    VI one = (b == B) & (b > zero) & (from == vfloor(A / b));
    l = vsel(one, a - b * from, vsel(b > zero, zero, vset(-anyNumber)));
    h = vsel(one, A - b * from, vsel(b > zero, B, vset(anyNumber)));
    break;
  }
  case OpMin: l = vmin(a, b), h = vmin(A, B); break;
  case OpMax: l = vmax(a, b), h = vmax(A, B); break;
  case OpFloor: l = vfloor(a), h = vfloor(A); break;
  case OpTrunc: l = vtrunc(a), h = vtrunc(A); break;
  case OpExp: l = vexp(a), h = vexp(A), boundLoosely(l, h); break;
  case OpLog: l = vlog(a), h = vlog(A), boundLoosely(l, h); break;
  case OpTanh: l = vtanh(a), h = vtanh(A), boundLoosely(l, h); break;
  case OpSqrt: l = vsqrt(a), h = vsqrt(A), boundLoosely(l, h); break;
  case OpSigmoid: l = vsigmoid(a), h = vsigmoid(A), boundLoosely(l, h); break;
  default: l = a, h = A; break;
  }
  boundSettle(l, h);
}

INL void boundLeaf(const TileProgram &p, const TileInstruction &i, const TileBounds &s, int g, V &l, V &h) {
  auto both = [&](float x) { l = h = vset(x); };
  switch (i.op) {
  case OpConst: both(p.constants[i.imm]); break;
  case OpB: both(s.b); break;
  case OpH: both(s.h); break;
  case OpKv: both(s.kv); break;
  case OpQRow: l = vset(s.qRow[0]), h = vset(s.qRow[1]); break;
  case OpQPosition: l = vset(s.qPosition[0]), h = vset(s.qPosition[1]); break;
  case OpKRow: l = vload(s.kRow[0] + g), h = vload(s.kRow[1] + g); break;
  case OpKPosition: l = vload(s.kPosition[0] + g), h = vload(s.kPosition[1] + g); break;
  case OpDistance: l = vset(s.qRow[0]) - vload(s.kRow[1] + g), h = vset(s.qRow[1]) - vload(s.kRow[0] + g); break;
  }
}

// Classifies granules under a mask. `work`: count × 2 × stride floats, stride = granules rounded up to W. Values that depend on keys
// alone are computed when `fresh` and kept in `work` for the head's next block of queries.
static void tileClassify(const TileProgram &p, const TileBounds &s, bool fresh, float *work, uint8_t *classes) {
  const int stride = (s.granules + W - 1) / W * W;
  auto lo = [&](int instruction) { return work + (int64_t)instruction * 2 * stride; };
  for (int n = 0; n < p.header->count; n++) {
    const TileInstruction &i = p.code[n];
    float *L = lo(n), *H = L + stride;
    const float *a = lo(i.fromA), *A = a + stride, *b = lo(i.fromB), *B = b + stride, *c = lo(i.fromC), *C = c + stride;
    if (i.op == OpApply) {
      for (int g = 0; g < s.granules; g++) {
        int32_t all, any;
        __builtin_memcpy(&all, a + g, 4);
        __builtin_memcpy(&any, A + g, 4);
        classes[g] = !any ? None : all ? All : Some;
      }
      return;
    }
    if (i.shape == Key && !fresh) continue;
    if (i.op == OpAt) {
      const bool same = i.shape <= Query; // every granule reads alike
      for (int g = 0; g < (same ? 1 : s.granules); g++) {
        const float from[3] = {a[g], b[g], c[g]}, to[3] = {A[g], B[g], C[g]};
        tableBounds(p.tables[i.imm], from, to, L[g], H[g]);
      }
      if (same) for (int g = 1; g < stride; g++) L[g] = L[0], H[g] = H[0];
      else for (int g = s.granules; g < stride; g++) L[g] = H[g] = 0;
      continue;
    }
    for (int g = 0; g < stride; g += W) {
      V l = vzero(), h = vzero();
      if (i.op < OpAt) boundLeaf(p, i, s, g, l, h);
      else boundStep(i.op, vload(a + g), vload(A + g), vload(b + g), vload(B + g), vload(c + g), vload(C + g), l, h);
      vstore(L + g, l), vstore(H + g, h);
    }
  }
}

} // namespace ISA
