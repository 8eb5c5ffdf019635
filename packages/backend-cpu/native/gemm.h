// What the matrix products share: where rows and batches lie, lanes in groups of four, weights read as floats.
//
// Every product is out[row, col] = Σ_k a[row, k] · b[col, k] (+ bias[col]). Leading axes along which b repeats are rows like any
// other (a batch of decode steps reads each weight once); the others are batches.
#pragma once
#include "half.h"
#include "kernel.h"
#include "simd.h"

namespace ISA {

INL int64_t imin(int64_t a, int64_t b) { return a < b ? a : b; }
INL int64_t imax(int64_t a, int64_t b) { return a > b ? a : b; }
INL int64_t cdiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
INL int64_t up(int64_t a, int64_t b) { return cdiv(a, b) * b; }

// Asks for the cache line at p, which must be inside the operand: WebAssembly has no prefetch and loads it.
INL void fetch(const void *p) {
#ifdef __wasm__
  (void)*(const volatile uint8_t *)p;
#else
  __builtin_prefetch(p);
#endif
}

// params: n, k, a's stride along k, b's strides along n and k, count of row axes, count of batch axes, then per row axis
// (size, a stride, out stride) and per batch axis (size, a stride, b stride, out stride), innermost last; strides in elements.
struct Product {
  const Launch &l;
  int64_t n, k, ak, bn, bk, rows = 1, batches = 1;
  int rowAxes, batchAxes;
  Product(const Launch &launch) : l(launch), n(l.n(0)), k(l.n(1)), ak(l.n(2)), bn(l.n(3)), bk(l.n(4)), rowAxes((int)l.n(5)), batchAxes((int)l.n(6)) {
    for (int i = 0; i < rowAxes; i++) rows *= l.n(7 + 3 * i);
    for (int i = 0; i < batchAxes; i++) batches *= l.n(7 + 3 * rowAxes + 4 * i);
  }
  // Offsets of a row in a and out.
  void row(int64_t index, int64_t &a, int64_t &out) const {
    a = out = 0;
    for (int p = 7 + 3 * (rowAxes - 1); p >= 7; p -= 3) {
      int64_t size = l.n(p), at = p == 7 ? index : index % size;
      a += at * l.n(p + 1), out += at * l.n(p + 2), index /= size;
    }
  }
  // Offsets of a batch in a, b and out.
  void batch(int64_t index, int64_t &a, int64_t &b, int64_t &out) const {
    a = b = out = 0;
    for (int first = 7 + 3 * rowAxes, p = first + 4 * (batchAxes - 1); p >= first; p -= 4) {
      int64_t size = l.n(p), at = p == first ? index : index % size;
      a += at * l.n(p + 1), b += at * l.n(p + 2), out += at * l.n(p + 3), index /= size;
    }
  }
};

// How a product is cut: blocks of `m` rows × `n` columns, the same for every thread count.
struct Cut {
  int64_t m, n, across, down;
  int64_t chunks(const Product &p) const { return p.batches * across * down; }
};

// One block: its rows and columns, and its batch's operands.
struct Block {
  int64_t row, rows, col, cols, a, b, out;
  Block(const Product &p, const Cut &cut, int64_t chunk) {
    int64_t per = cut.across * cut.down, at = chunk % per;
    p.batch(chunk / per, a, b, out);
    row = at / cut.across * cut.m, rows = imin(cut.m, p.rows - row);
    col = at % cut.across * cut.n, cols = imin(cut.n, p.n - col);
  }
  // Where each row of a and out starts, and the bias of the first column (or null); binding 0: a, 2: out, 3: bias.
  const float *operands(const Product &p, const float **rowsOfA, float **rowsOfOut) const {
    for (int64_t i = 0; i < rows; i++) {
      int64_t ra, ro;
      p.row(row + i, ra, ro);
      rowsOfA[i] = p.l.p(0) + a + ra, rowsOfOut[i] = p.l.p(2) + out + ro + col;
    }
    return p.l.p(3) ? p.l.p(3) + col : nullptr;
  }
  // The empty sum.
  void fill(float *const *rowsOfOut, const float *bias) const {
    for (int64_t i = 0; i < rows; i++) for (int64_t j = 0; j < cols; j++) rowsOfOut[i][j] = bias ? bias[j] : 0;
  }
};

// out (+)= the sums of W columns over one block of k, the `first` or the `last`; n: columns left.
INL void put(float *out, V sum, const float *bias, bool first, bool last, int64_t n) {
  if (n >= W) {
    if (!first) sum = vload(out) + sum;
    if (last && bias) sum = sum + vload(bias);
    vstore(out, sum);
  } else {
    if (!first) sum = vloadn(out, n) + sum;
    if (last && bias) sum = sum + vloadn(bias, n);
    vstoren(out, sum, n);
  }
}

// Calls f with the count as a constant: f(Count<n>), Low <= n < High.
template <int N> struct Count { static constexpr int value = N; };
template <int Low, int High, class F> INL void dispatch(int64_t n, F f) {
  if constexpr (Low < High) {
    if (n == Low) f(Count<Low>{});
    else dispatch<Low + 1, High>(n, f);
  }
}

// Blocks along k: the sum over each is formed from zero, and the sums are added in order. Depends on k alone, so that a row's
// result does not depend on how many rows there are.
INL int64_t depth(int64_t k, int64_t most) { return k <= most ? k : up(cdiv(k, cdiv(k, most)), 4); }

// Four neighbouring values of a row as floats; `n` of them where the row ends, the rest 0.
typedef float Q __attribute__((vector_size(16)));
typedef float QU __attribute__((vector_size(16), aligned(1), may_alias));
INL Q qload(const float *p) { return *(const QU *)p; }
INL void qstore(float *p, Q a) { *(QU *)p = a; }
struct bf16 { uint16_t bits; };
struct f16 { uint16_t bits; };
struct Byte { uint8_t bits; };
INL Q qload(const Byte *p) { return qload((const float *)(const void *)p); } // 16 bytes as they are
INL float value(float x) { return x; }
INL float value(f16 x) { return f16_to_f32(x.bits); }
INL float value(bf16 x) { return bf16_to_f32(x.bits); }
#if defined(__AVX2__)
INL Q qload(const f16 *p) { return (Q)_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)p)); }
INL Q qload(const bf16 *p) { return (Q)_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)p)), 16); }
#else
INL Q qload(const f16 *p) { return (Q)vload_f16((const uint16_t *)p); }
INL Q qload(const bf16 *p) { return (Q)vload_bf16((const uint16_t *)p); }
#endif
template <class T> INL Q qload(const T *p, int64_t n) {
  Q r{};
  for (int64_t i = 0; i < n; i++) r[i] = value(p[i]);
  return r;
}
INL V vload(const f16 *p) { return vload_f16((const uint16_t *)p); }
INL V vload(const bf16 *p) { return vload_bf16((const uint16_t *)p); }
template <class T> INL V vpart(const T *p, int64_t n) {
  V r{};
  for (int64_t i = 0; i < n; i++) r[i] = value(p[i]);
  return r;
}

// A 4 × 4 transpose.
INL void transpose(Q (&x)[4]) {
#if defined(__SSE2__)
  __m128 ab = _mm_unpacklo_ps((__m128)x[0], (__m128)x[1]), AB = _mm_unpackhi_ps((__m128)x[0], (__m128)x[1]);
  __m128 cd = _mm_unpacklo_ps((__m128)x[2], (__m128)x[3]), CD = _mm_unpackhi_ps((__m128)x[2], (__m128)x[3]);
  x[0] = (Q)_mm_movelh_ps(ab, cd), x[1] = (Q)_mm_movehl_ps(cd, ab), x[2] = (Q)_mm_movelh_ps(AB, CD), x[3] = (Q)_mm_movehl_ps(CD, AB);
#else
  Q a = x[0], b = x[1], c = x[2], d = x[3];
  x[0] = Q{a[0], b[0], c[0], d[0]}, x[1] = Q{a[1], b[1], c[1], d[1]};
  x[2] = Q{a[2], b[2], c[2], d[2]}, x[3] = Q{a[3], b[3], c[3], d[3]};
#endif
}

// A vector is W / 4 groups of four lanes. `spread`: the same four floats in each group. `rows4`: four values of each of the rows
// p, p + 4 s, p + 8 s … in its own group; `rows8` gives the next four as well and reads fewer, longer pieces.
#if W == 16
INL V spread(const float *p) { return (V)_mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
INL V groups(Q a, Q b, Q c, Q d) {
  __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256((__m128)a), (__m128)b, 1);
  __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256((__m128)c), (__m128)d, 1);
  return (V)_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
template <class T> INL V rows4(const T *p, int64_t s) { return groups(qload(p), qload(p + 4 * s), qload(p + 8 * s), qload(p + 12 * s)); }
template <class T> INL V rows4(const T *p, int64_t s, int64_t n) {
  return groups(qload(p, n), qload(p + 4 * s, n), qload(p + 8 * s, n), qload(p + 12 * s, n));
}
INL void rows8(const float *p, int64_t s, V &x, V &y) {
  __m512 low = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(p + 4 * s), 1);
  __m512 high = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p + 8 * s)), _mm256_loadu_ps(p + 12 * s), 1);
  x = (V)_mm512_shuffle_f32x4(low, high, 0x88), y = (V)_mm512_shuffle_f32x4(low, high, 0xdd);
}
INL V widen(__m256i h, const f16 *) { return (V)_mm512_cvtph_ps(h); }
INL V widen(__m256i h, const bf16 *) { return (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16); }
template <class T> INL void rows8(const T *p, int64_t s, V &x, V &y) {
  __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)), _mm_loadu_si128((const __m128i *)(p + 8 * s)), 1);
  __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p + 4 * s))), _mm_loadu_si128((const __m128i *)(p + 12 * s)), 1);
  x = widen(_mm256_unpacklo_epi64(low, high), p), y = widen(_mm256_unpackhi_epi64(low, high), p);
}
#elif W == 8
INL V spread(const float *p) { return (V)_mm256_broadcast_ps((const __m128 *)p); }
INL V groups(Q a, Q b) { return (V)_mm256_insertf128_ps(_mm256_castps128_ps256((__m128)a), (__m128)b, 1); }
template <class T> INL V rows4(const T *p, int64_t s) { return groups(qload(p), qload(p + 4 * s)); }
template <class T> INL V rows4(const T *p, int64_t s, int64_t n) { return groups(qload(p, n), qload(p + 4 * s, n)); }
INL void rows8(const float *p, int64_t s, V &x, V &y) {
  __m256 low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + 4 * s);
  x = (V)_mm256_permute2f128_ps(low, high, 0x20), y = (V)_mm256_permute2f128_ps(low, high, 0x31);
}
INL V widen(__m128i h, const f16 *) { return (V)_mm256_cvtph_ps(h); }
INL V widen(__m128i h, const bf16 *) { return (V)_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16); }
template <class T> INL void rows8(const T *p, int64_t s, V &x, V &y) {
  __m128i low = _mm_loadu_si128((const __m128i *)p), high = _mm_loadu_si128((const __m128i *)(p + 4 * s));
  x = widen(_mm_unpacklo_epi64(low, high), p), y = widen(_mm_unpackhi_epi64(low, high), p);
}
#else
INL V spread(const float *p) { return vload(p); }
template <class T> INL V rows4(const T *p, int64_t) { return (V)qload(p); }
template <class T> INL V rows4(const T *p, int64_t, int64_t n) { return (V)qload(p, n); }
template <class T> INL void rows8(const T *p, int64_t, V &x, V &y) { x = (V)qload(p), y = (V)qload(p + 4); }
#endif

// Interleaves lanes 0, 1 (low) or 2, 3 (high) of each group; the 64 forms take lanes in pairs.
#if W == 16
INL VI low32(VI a, VI b) { return (VI)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b); }
INL VI high32(VI a, VI b) { return (VI)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b); }
INL VI low64(VI a, VI b) { return (VI)_mm512_unpacklo_epi64((__m512i)a, (__m512i)b); }
INL VI high64(VI a, VI b) { return (VI)_mm512_unpackhi_epi64((__m512i)a, (__m512i)b); }
#elif W == 8
INL VI low32(VI a, VI b) { return (VI)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b); }
INL VI high32(VI a, VI b) { return (VI)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b); }
INL VI low64(VI a, VI b) { return (VI)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b); }
INL VI high64(VI a, VI b) { return (VI)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b); }
#elif defined(__wasm__)
INL VI low32(VI a, VI b) { return (VI)wasm_i32x4_shuffle((v128_t)a, (v128_t)b, 0, 4, 1, 5); }
INL VI high32(VI a, VI b) { return (VI)wasm_i32x4_shuffle((v128_t)a, (v128_t)b, 2, 6, 3, 7); }
INL VI low64(VI a, VI b) { return (VI)wasm_i64x2_shuffle((v128_t)a, (v128_t)b, 0, 2); }
INL VI high64(VI a, VI b) { return (VI)wasm_i64x2_shuffle((v128_t)a, (v128_t)b, 1, 3); }
#elif defined(__ARM_NEON)
INL VI low32(VI a, VI b) { return (VI)vzip1q_s32((int32x4_t)a, (int32x4_t)b); }
INL VI high32(VI a, VI b) { return (VI)vzip2q_s32((int32x4_t)a, (int32x4_t)b); }
INL VI low64(VI a, VI b) { return (VI)vzip1q_s64((int64x2_t)a, (int64x2_t)b); }
INL VI high64(VI a, VI b) { return (VI)vzip2q_s64((int64x2_t)a, (int64x2_t)b); }
#else
INL VI low32(VI a, VI b) { return (VI)_mm_unpacklo_epi32((__m128i)a, (__m128i)b); }
INL VI high32(VI a, VI b) { return (VI)_mm_unpackhi_epi32((__m128i)a, (__m128i)b); }
INL VI low64(VI a, VI b) { return (VI)_mm_unpacklo_epi64((__m128i)a, (__m128i)b); }
INL VI high64(VI a, VI b) { return (VI)_mm_unpackhi_epi64((__m128i)a, (__m128i)b); }
#endif
// Lane 4g + i of the result: the sum (0 + 2) + (1 + 3) of the lanes of group g of v[i].
INL V sum4(const V *v) {
  VI a = bits(v[0]), b = bits(v[1]), c = bits(v[2]), d = bits(v[3]);
  V ab = vbits(low32(a, b)) + vbits(high32(a, b)), cd = vbits(low32(c, d)) + vbits(high32(c, d));
  return vbits(low64(bits(ab), bits(cd))) + vbits(high64(bits(ab), bits(cd)));
}

} // namespace ISA
