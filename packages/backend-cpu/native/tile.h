// Scores and masks as bytecode over one tile of attention scores (compiled by packages/expr/src/tile.ts).
//
// Every value has a shape: one number, one per query, one per key, one per distance q.row - k.row, or one per score. Only Tile values
// cost work per score. A tile has one of two orientations:
//   block  rows = keys, vector lanes = blockQueries queries (prefill); a distance vector is read with row step -1
//   wide   one query, vector lanes = keys (decode)
// A bool is all ones or all zeros. Integers ride as floats, exact to 2^24.
#pragma once
#include "simd.h"

namespace ISA {

static const int blockVectors = 2, blockQueries = blockVectors * W, blockKeys = 64, wideKeys = 256, uniformFloats = 16;
static const float maskedScore = -3.4e38f;
INL bool isMasked(float score) { return score <= maskedScore / 2; }

// The order of TILE_SHAPES and TILE_OPS in tile.ts.
enum TileShape { Uniform, Query, Key, Distance, Tile, Score };
enum TileOp {
  OpConst, OpB, OpH, OpKv, OpQRow, OpQPosition, OpKRow, OpKPosition, OpDistance, OpAt,
  OpAdd, OpSub, OpMul, OpDiv, OpMin, OpMax, OpFloor, OpTrunc, OpMod, OpExp, OpLog, OpTanh, OpSqrt, OpSigmoid,
  OpLt, OpLe, OpEq, OpAnd, OpOr, OpNot, OpSelect, OpCopy, OpApply
};

struct TileInstruction { int32_t op, shape, dst, a, b, c, imm, fromA, fromB, fromC; };
struct TileHeader { int32_t count, slots[5], byHead, unused; };

// A table of any rank up to 3; absent dimensions have size 1.
struct TileTable { const float *data; bool integer; int32_t size[3], stride[3]; };

// What a program sees of one tile.
struct TileScene {
  float b, h, kv;
  const float *qRow, *qPosition; // block: blockQueries of each; wide: one
  const float *kRow, *kPosition; // one per key
};

struct TileOperand { const float *p; int step; bool splat; };

struct TileProgram {
  const TileHeader *header; // null: no program
  const TileInstruction *code;
  const float *constants;
  const TileTable *tables;
  bool wide;
  int size[6];    // floats per value of each shape
  float *base[6]; // where the values of each shape lie

  // data: header, instructions, constants
  TileProgram(const int32_t *data, const TileTable *tables, bool wide) : tables(tables), wide(wide) {
    header = (const TileHeader *)data;
    if (!header) return;
    code = (const TileInstruction *)(header + 1);
    constants = (const float *)(code + header->count);
    const int keys = wide ? wideKeys : blockKeys;
    const int sizes[6] = {uniformFloats, wide ? uniformFloats : blockQueries, keys, wide ? keys : keys + blockQueries,
                          wide ? keys : keys * blockQueries, 0};
    for (int i = 0; i < 6; i++) size[i] = sizes[i];
  }
  bool exists() const { return header != nullptr; }
  // Uniform and Query values live per query block, the others per tile.
  int64_t laneFloats() const { return exists() ? header->slots[Uniform] * size[Uniform] + header->slots[Query] * size[Query] : 0; }
  int64_t tileFloats() const {
    return exists() ? header->slots[Key] * size[Key] + header->slots[Distance] * size[Distance] + header->slots[Tile] * size[Tile] : 0;
  }
  void placeLanes(float *p) {
    if (!exists()) return;
    base[Uniform] = p;
    base[Query] = p + header->slots[Uniform] * size[Uniform];
  }
  void placeTile(float *p) {
    if (!exists()) return;
    base[Key] = p;
    base[Distance] = base[Key] + header->slots[Key] * size[Key];
    base[Tile] = base[Distance] + header->slots[Distance] * size[Distance];
  }
  float *at(int32_t place) const { return base[place >> 16] + (place & 0xffff) * size[place >> 16]; }

  // How an instruction of shape `into` reads a value.
  TileOperand operand(int32_t place, int into) const {
    const float *p = at(place);
    int shape = place >> 16;
    if (shape == Score) shape = Tile;
    if (into != Tile) return {p, 0, shape != into};
    if (wide) return {p, 0, shape <= Query};
    switch (shape) {
    case Tile: return {p, blockQueries, false};
    case Distance: return {p + blockKeys - 1, -1, false};
    case Key: return {p, 1, true};
    case Query: return {p, 0, false};
    default: return {p, 0, true};
    }
  }

  void runLanes(const TileScene &scene) const; // Uniform and Query values
  void runTile(const TileScene &scene, int keys) const; // Key, Distance and Tile values, for the first `keys` keys
};

// Loops over a value: `rows` rows of `vectors` vectors; a row of a block tile has blockVectors.
struct TileLoop { float *d; int rows, vectors; };

template <bool A, bool B, class F> INL void tileEach(const TileLoop &l, TileOperand a, TileOperand b, F f) {
  if (l.rows == 1) {
    V sa = vbc(a.p), sb = vbc(b.p);
    for (int c = 0; c < l.vectors * W; c += W) vstore(l.d + c, f(A ? sa : vload(a.p + c), B ? sb : vload(b.p + c)));
    return;
  }
  for (int r = 0; r < l.rows; r++, a.p += a.step, b.p += b.step) {
    V sa = vbc(a.p), sb = vbc(b.p);
    UNROLL for (int j = 0; j < blockVectors; j++)
      vstore(l.d + r * blockQueries + j * W, f(A ? sa : vload(a.p + j * W), B ? sb : vload(b.p + j * W)));
  }
}
// Never two splats: a value made of two such operands has their shape, and there they are read whole.
template <class F> INL void tileEach2(const TileLoop &l, TileOperand a, TileOperand b, F f) {
  if (a.splat) tileEach<true, false>(l, a, b, f);
  else if (b.splat) tileEach<false, true>(l, a, b, f);
  else tileEach<false, false>(l, a, b, f);
}
template <class F> INL void tileEach1(const TileLoop &l, TileOperand a, F f) {
  if (a.splat) tileEach<true, false>(l, a, a, [&](V x, V) { return f(x); });
  else tileEach<false, false>(l, a, a, [&](V x, V) { return f(x); });
}
template <class F> INL void tileEach3(const TileLoop &l, TileOperand a, TileOperand b, TileOperand c, F f) {
  auto read = [](const TileOperand &o, int r, int j) { const float *p = o.p + r * o.step; return o.splat ? vbc(p) : vload(p + j * W); };
  int row = l.vectors * W;
  for (int r = 0; r < l.rows; r++)
    for (int j = 0; j < l.vectors; j++) vstore(l.d + r * row + j * W, f(read(a, r, j), read(b, r, j), read(c, r, j)));
}
INL void tileFill(float *d, int vectors, float start, float step) {
  V from = vset(start), by = vset(step);
  for (int j = 0; j < vectors; j++) vstore(d + j * W, from + vtoi2f(viota() + j * W) * by);
}
INL void tileCopy(float *d, int vectors, const float *from) { for (int j = 0; j < vectors; j++) vstore(d + j * W, vload(from + j * W)); }

// Any index is clamped: lanes past the last query or key and both sides of a select reach here.
INL V tileRead(const TileTable &t, V a, V b, V c) {
  auto index = [](V x, int32_t size) { return vtrunci(vmin(vmax(x, vzero()), vset((float)(size - 1)))); };
  V x = vgather(t.data, index(a, t.size[0]) * t.stride[0] + index(b, t.size[1]) * t.stride[1] + index(c, t.size[2]) * t.stride[2]);
  return t.integer ? vtoi2f(bits(x)) : x;
}
INL V tileMod(V a, V b) { return a - b * vfloor(a / b); }

static __attribute__((noinline)) void tileStep(const TileProgram &p, const TileInstruction &i, const TileScene &scene, int keys) {
  const int vectors = i.shape == Uniform ? 1 : i.shape == Query ? (p.wide ? 1 : blockVectors) : i.shape == Tile && !p.wide ? blockVectors
                    : i.shape == Distance && !p.wide ? (blockKeys + blockQueries) / W : (keys + W - 1) / W;
  const TileLoop l{p.at(i.dst), i.shape == Tile && !p.wide ? keys : 1, vectors};
  if (i.op < OpAt) switch (i.op) {
    case OpConst: return tileFill(l.d, 1, p.constants[i.imm], 0);
    case OpB: return tileFill(l.d, 1, scene.b, 0);
    case OpH: return tileFill(l.d, 1, scene.h, 0);
    case OpKv: return tileFill(l.d, 1, scene.kv, 0);
    case OpQRow: return p.wide ? tileFill(l.d, 1, scene.qRow[0], 0) : tileCopy(l.d, vectors, scene.qRow);
    case OpQPosition: return p.wide ? tileFill(l.d, 1, scene.qPosition[0], 0) : tileCopy(l.d, vectors, scene.qPosition);
    case OpKRow: return tileCopy(l.d, vectors, scene.kRow);
    case OpKPosition: return tileCopy(l.d, vectors, scene.kPosition);
    case OpDistance: {
      float d = scene.qRow[0] - scene.kRow[0];
      return p.wide ? tileFill(l.d, vectors, d, -1) : tileFill(l.d, vectors, d - (blockKeys - 1), 1);
    }
  }
  const TileOperand a = p.operand(i.a, i.shape), b = p.operand(i.b, i.shape), c = p.operand(i.c, i.shape);
  switch (i.op) {
  case OpAt: { const TileTable &t = p.tables[i.imm]; return tileEach3(l, a, b, c, [&](V x, V y, V z) { return tileRead(t, x, y, z); }); }
  case OpAdd: return tileEach2(l, a, b, [](V x, V y) { return x + y; });
  case OpSub: return tileEach2(l, a, b, [](V x, V y) { return x - y; });
  case OpMul: return tileEach2(l, a, b, [](V x, V y) { return x * y; });
  case OpDiv: return tileEach2(l, a, b, [](V x, V y) { return x / y; });
  case OpMin: return tileEach2(l, a, b, [](V x, V y) { return vmin(x, y); });
  case OpMax: return tileEach2(l, a, b, [](V x, V y) { return vmax(x, y); });
  case OpMod: return tileEach2(l, a, b, [](V x, V y) { return tileMod(x, y); });
  case OpLt: return tileEach2(l, a, b, [](V x, V y) { return vbits(x < y); });
  case OpLe: return tileEach2(l, a, b, [](V x, V y) { return vbits(x <= y); });
  case OpEq: return tileEach2(l, a, b, [](V x, V y) { return vbits(x == y); });
  case OpAnd: return tileEach2(l, a, b, [](V x, V y) { return vbits(bits(x) & bits(y)); });
  case OpOr: return tileEach2(l, a, b, [](V x, V y) { return vbits(bits(x) | bits(y)); });
  case OpApply: return tileEach2(l, a, b, [](V x, V y) { return vsel(bits(x), y, vset(maskedScore)); });
  case OpSelect: return tileEach3(l, a, b, c, [](V x, V y, V z) { return vsel(bits(x), y, z); });
  case OpNot: return tileEach1(l, a, [](V x) { return vbits(~bits(x)); });
  case OpFloor: return tileEach1(l, a, [](V x) { return vfloor(x); });
  case OpTrunc: return tileEach1(l, a, [](V x) { return vtrunc(x); });
  case OpExp: return tileEach1(l, a, [](V x) { return vexp(x); });
  case OpLog: return tileEach1(l, a, [](V x) { return vlog(x); });
  case OpTanh: return tileEach1(l, a, [](V x) { return vtanh(x); });
  case OpSqrt: return tileEach1(l, a, [](V x) { return vsqrt(x); });
  case OpSigmoid: return tileEach1(l, a, [](V x) { return vsigmoid(x); });
  case OpCopy: return tileEach1(l, a, [](V x) { return x; });
  }
}

inline void TileProgram::runLanes(const TileScene &scene) const {
  for (int i = 0; exists() && i < header->count; i++) if (code[i].shape <= Query) tileStep(*this, code[i], scene, 0);
}
inline void TileProgram::runTile(const TileScene &scene, int keys) const {
  for (int i = 0; exists() && i < header->count; i++) if (code[i].shape > Query) tileStep(*this, code[i], scene, keys);
}

} // namespace ISA
