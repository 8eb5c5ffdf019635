// Freestanding float64 core. Everything is row-major; `ld` counts elements between rows.
// Plain IEEE operations only (no fused multiply-add, no relaxed SIMD), so every machine computes the same bits.
#pragma once
typedef double f64;
typedef double v2 __attribute__((vector_size(16), aligned(8)));
#define EXPORT(name) __attribute__((export_name(#name)))
#define EPS 0x1p-53
#define LOAD(p) (*(const v2 *)(p))
#define STORE(p, v) (*(v2 *)(p) = (v))
#define SPLAT(x) ((v2){(x), (x)})

static inline f64 absf(f64 x) { return __builtin_fabs(x); }
static inline f64 root(f64 x) { return __builtin_sqrt(x); }
static inline f64 maxf(f64 a, f64 b) { return a > b ? a : b; }
static inline f64 minf(f64 a, f64 b) { return a < b ? a : b; }
static inline int mini(int a, int b) { return a < b ? a : b; }

static inline f64 hypot2(f64 a, f64 b) {
  a = absf(a), b = absf(b);
  f64 big = maxf(a, b), small = minf(a, b);
  if (small == 0) return big;
  f64 t = small / big;
  return big * root(1 + t * t);
}

/** Nearest power of two to |x|'s magnitude, so that scaling by it is exact. */
static inline f64 binade(f64 x) {
  union { f64 f; unsigned long long u; } b = {x};
  b.u &= 0x7ff0000000000000ull;
  return b.f;
}

static __attribute__((noinline)) void fill(f64 *x, int n, f64 value) { for (int i = 0; i < n; i++) x[i] = value; }
static void copy(f64 *to, const f64 *from, int n) { __builtin_memmove(to, from, (unsigned)n * 8); }
static void scale(f64 *x, int n, f64 s) { for (int i = 0; i < n; i++) x[i] *= s; }

static __attribute__((noinline)) f64 dot(const f64 *x, const f64 *y, int n) {
  v2 a = {0}, b = {0}, c = {0}, d = {0};
  int i = 0;
  for (; i + 8 <= n; i += 8) {
    a += LOAD(x + i) * LOAD(y + i);
    b += LOAD(x + i + 2) * LOAD(y + i + 2);
    c += LOAD(x + i + 4) * LOAD(y + i + 4);
    d += LOAD(x + i + 6) * LOAD(y + i + 6);
  }
  a = (a + b) + (c + d);
  f64 s = a[0] + a[1];
  for (; i < n; i++) s += x[i] * y[i];
  return s;
}

static __attribute__((noinline)) void axpy(f64 *restrict y, const f64 *restrict x, int n, f64 s) {
  for (int i = 0; i < n; i++) y[i] += s * x[i];
}

/** (x, y) <- (c x + s y, c y - s x). */
static __attribute__((noinline)) void rotate(f64 *restrict x, f64 *restrict y, int n, f64 c, f64 s) {
  for (int i = 0; i < n; i++) {
    f64 a = x[i], b = y[i];
    x[i] = c * a + s * b;
    y[i] = c * b - s * a;
  }
}

static __attribute__((noinline)) f64 norm(const f64 *x, int n) {
  f64 big = 0;
  for (int i = 0; i < n; i++) big = maxf(big, absf(x[i]));
  if (big == 0) return 0;
  if (big > 1e-100 && big < 1e100) return root(dot(x, x, n));
  f64 s = 0;
  for (int i = 0; i < n; i++) s += (x[i] / big) * (x[i] / big);
  return big * root(s);
}
