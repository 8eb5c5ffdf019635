// Strided walks over collapsed axes: run-time extents from the launch, strides from constant data.
#pragma once
#include "element.h"

namespace ISA {

static const int maxRank = 8;

INL V vload_some(const float *p, int64_t n) { return n == W ? vload(p) : vloadn(p, n); }
INL void vstore_some(float *p, V a, int64_t n) {
  if (n == W) vstore(p, a);
  else vstoren(p, a, n);
}

struct Axes {
  int64_t rank, n[maxRank], index[maxRank];
  // Extents are parameters first … first + rank − 1.
  __attribute__((always_inline)) void read(const Launch &l, int first, int64_t r) {
    rank = r;
    for (int a = 0; a < r; a++) n[a] = l.n(first + a);
  }
  __attribute__((always_inline)) int64_t total() const {
    int64_t t = 1;
    for (int a = 0; a < rank; a++) t *= n[a];
    return t;
  }
  __attribute__((always_inline)) int64_t inner() const { return n[rank - 1]; }
  // Stands on element `flat` of the row-major order.
  __attribute__((always_inline)) void seek(int64_t flat) {
    for (int a = (int)rank - 1; a >= 0; a--) {
      index[a] = flat % n[a];
      flat /= n[a];
    }
  }
  // Moves `step` along the innermost axis, which it may reach the end of but not pass.
  __attribute__((always_inline)) void advance(int64_t step) {
    int a = (int)rank - 1;
    index[a] += step;
    for (; a > 0 && index[a] == n[a]; a--) {
      index[a] = 0;
      index[a - 1]++;
    }
  }
  __attribute__((always_inline)) int64_t at(const int32_t *strides) const {
    int64_t o = 0;
    for (int a = 0; a < rank; a++) o += index[a] * strides[a];
    return o;
  }
};

} // namespace ISA
