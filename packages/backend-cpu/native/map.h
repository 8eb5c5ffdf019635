// map: the elementwise bytecode of expr/src/bytecode.ts, interpreted a tile of 256 lanes at a time over broadcast strided inputs.
//
//   params  output extents (rank), then 3 extents per table
//   bind    code (i32), scalars (f32), layout (i32), output, inputs …, tables …
//   layout  rank, tensor inputs, index inputs, tables, output type, output strides (rank);
//           per tensor input: type, strides (rank); per index input: axis; per table: type, 3 strides
#pragma once
#include "special.h"
#include "walk.h"

namespace ISA {

static const int64_t mapTile = 256, mapChunk = 8192;

// The instruction set, numbered as in expr/src/bytecode.ts.
enum MapOp {
  CopyOp, Add, Sub, Mul, Neg, Min, Max, Abs, Idiv, Mod, Div, Floor, Exp, Log, Tanh, Sin, Cos, Sqrt, Rsqrt, Sigmoid, Erf, Pow,
  Lt, Le, Gt, Ge, Eq, Ne, And, Or, Not, Select, ToI32, At
};

INL V vtrue(VI mask) { return vbits(mask & bits(vset(1.0f))); }
INL V vquotient(V a, V b) { return vfloor(a / b); }

struct MapTable {
  int64_t type, n[3], stride[3];
  const uint8_t *data;
};

INL int64_t clamped(float x, int64_t n) {
  if (!(x > 0)) return 0;
  return x < (float)n ? min64((int64_t)x, n - 1) : n - 1;
}
static void read_table(const MapTable &t, const float *a, const float *b, const float *c, float *d, int64_t n) {
  if (t.n[0] <= 0 || t.n[1] <= 0 || t.n[2] <= 0) {
    for (int64_t i = 0; i < n; i++) d[i] = 0;
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t at = clamped(a[i], t.n[0]) * t.stride[0];
    if (b) at += clamped(b[i], t.n[1]) * t.stride[1];
    if (c) at += clamped(c[i], t.n[2]) * t.stride[2];
    if (t.type == F32) d[i] = ((const float *)t.data)[at];
    else if (t.type == I32) d[i] = (float)((const int32_t *)t.data)[at];
    else load(t.type, t.data, at, 1, 1, d + i);
  }
}

#define EACH(expr) for (int64_t i = 0; i < n; i += W) { V x = vload(a + i); (void)x; vstore(d + i, expr); } break
#define PAIR(expr) for (int64_t i = 0; i < n; i += W) { V x = vload(a + i), y = vload(b + i); vstore(d + i, expr); } break

// One program over n lanes (rounded up to whole vectors). `lanes[k]` is operand k; `out` is operand −1.
static void map_tile(const int32_t *code, float *const *lanes, float *out, const MapTable *tables, int64_t n) {
  const int32_t *ins = code + 4;
  for (int32_t k = 0; k < code[0]; k++, ins += 6) {
    float *d = ins[1] < 0 ? out : lanes[ins[1]];
    const float *a = ins[2] < 0 ? nullptr : lanes[ins[2]], *b = ins[3] < 0 ? nullptr : lanes[ins[3]];
    const float *c = ins[4] < 0 ? nullptr : lanes[ins[4]];
    switch (ins[0]) {
      case CopyOp: EACH(x);
      case Add: PAIR(x + y);
      case Sub: PAIR(x - y);
      case Mul: PAIR(x * y);
      case Neg: EACH(vneg(x));
      case Min: PAIR(vsel(x != x, x, vmin(x, y))); // NaN goes on, as in the reference
      case Max: PAIR(vsel(x != x, x, vmax(x, y)));
      case Abs: EACH(vabs(x));
      case Idiv: PAIR(vquotient(x, y));
      case Mod: PAIR(x - y * vquotient(x, y));
      case Div: PAIR(x / y);
      case Floor: EACH(vfloor(x));
      case Exp: EACH(vexp(x));
      case Log: EACH(vlog(x));
      case Tanh: EACH(vtanh(x));
      case Sin: EACH(vsin(x));
      case Cos: EACH(vcos(x));
      case Sqrt: EACH(vsqrt(x));
      case Rsqrt: EACH(vset(1.0f) / vsqrt(x));
      case Sigmoid: EACH(vsigmoid(x));
      case Erf: EACH(verf(x));
      case Pow: PAIR(vpow(x, y));
      case Lt: PAIR(vtrue(x < y));
      case Le: PAIR(vtrue(x <= y));
      case Gt: PAIR(vtrue(x > y));
      case Ge: PAIR(vtrue(x >= y));
      case Eq: PAIR(vtrue(x == y));
      case Ne: PAIR(vtrue(x != y));
      case And: PAIR(vtrue((x != vzero()) & (y != vzero())));
      case Or: PAIR(vtrue((x != vzero()) | (y != vzero())));
      case Not: EACH(vtrue(x == vzero()));
      case Select:
        for (int64_t i = 0; i < n; i += W) vstore(d + i, vsel(vload(a + i) != vzero(), vload(b + i), vload(c + i)));
        break;
      case ToI32: EACH(vtrunc(x));
      case At: read_table(tables[ins[5]], a, b, c, d, n); break;
    }
  }
}
#undef EACH
#undef PAIR

static int64_t map_chunks(const Launch &l) {
  Axes axes;
  axes.read(l, 0, l.p<int32_t>(2)[0]);
  return ceil_div(axes.total(), mapChunk);
}

static void map_run(const Launch &l, int64_t chunk, uint8_t *scratch) {
  const int32_t *code = l.p<int32_t>(0), *layout = l.p<int32_t>(2);
  const float *scalars = l.p(1);
  const int32_t rank = layout[0], arity = layout[1], indices = layout[2], tableCount = layout[3], type = layout[4];
  const int32_t *outStrides = layout + 5, *inputs = outStrides + rank, *axisOf = inputs + arity * (1 + rank), *tableLayout = axisOf + indices;
  const int32_t inputCount = code[1], scalarCount = code[2], registers = code[3];
  uint8_t *out = l.p<uint8_t>(3);

  MapTable tables[16];
  for (int32_t t = 0; t < tableCount; t++) {
    tables[t].type = tableLayout[t * 4];
    tables[t].data = l.p<uint8_t>(4 + arity + t);
    for (int a = 0; a < 3; a++) {
      tables[t].n[a] = l.n(rank + t * 3 + a);
      tables[t].stride[a] = tableLayout[t * 4 + 1 + a];
    }
  }
  float *lanes[128], *own = (float *)scratch, *result = own; // tile 0 holds the output where it cannot be written in place
  for (int32_t i = 0; i < inputCount + scalarCount + registers; i++) lanes[i] = own + (i + 1) * mapTile;
  for (int32_t i = 0; i < scalarCount; i++)
    for (int64_t j = 0; j < mapTile; j++) lanes[inputCount + i][j] = scalars[i];

  Axes axes;
  axes.read(l, 0, rank);
  int64_t from = chunk * mapChunk, end = min64(from + mapChunk, axes.total());
  axes.seek(from);
  int64_t outAt[mapTile], outLength[mapTile];
  while (from < end) {
    int64_t segment = min64(min64(axes.inner() - axes.index[rank - 1], end - from), mapTile), n = 0, segments = 0;
    bool direct = segment >= W; // whole vectors of one segment: read and write memory where it is plain
    if (direct) segment -= segment % W;
    while (n < mapTile && from < end) {
      if (n > 0) segment = min64(min64(axes.inner() - axes.index[rank - 1], end - from), mapTile - n);
      const int32_t *in = inputs;
      for (int32_t i = 0; i < arity; i++, in += 1 + rank) {
        int64_t at = axes.at(in + 1);
        const uint8_t *p = l.p<uint8_t>(4 + i);
        if (direct && in[0] == F32 && in[rank] == 1) lanes[i] = (float *)p + at;
        else load(in[0], p, at, in[rank], segment, own + (i + 1) * mapTile + n);
      }
      for (int32_t i = 0; i < indices; i++) {
        int32_t a = axisOf[i];
        float *to = lanes[arity + i] + n;
        for (int64_t j = 0; j < segment; j++) to[j] = (float)(axes.index[a] + (a == rank - 1 ? j : 0));
      }
      outAt[segments] = axes.at(outStrides);
      outLength[segments++] = segment;
      axes.advance(segment);
      n += segment;
      from += segment;
      if (direct) break;
    }
    bool inPlace = direct && type == F32;
    map_tile(code, lanes, inPlace ? (float *)out + outAt[0] : result, tables, n);
    for (int64_t s = 0, at = 0; s < segments && !inPlace; at += outLength[s++]) store(type, out, outAt[s], outLength[s], result + at);
    for (int32_t i = 0; i < arity; i++) lanes[i] = own + (i + 1) * mapTile;
  }
}
static const Kernel mapKernels[] = {{"map", map_chunks, map_run}};

} // namespace ISA
