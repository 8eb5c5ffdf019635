// Householder reflectors H = I - tau v v^T with v[0] = 1, and blocks of them in compact WY form.
#define WY 64

/** Makes x = (beta, 0 ...) under H; stores v in x (x[0] = 1), beta in *beta, returns tau (0 when nothing has to be done). */
static f64 reflector(f64 *x, int n, f64 *beta) {
  f64 alpha = x[0], rest = n > 1 ? norm(x + 1, n - 1) : 0;
  x[0] = 1;
  if (rest == 0) return *beta = alpha, 0;
  f64 b = -__builtin_copysign(hypot2(alpha, rest), alpha);
  f64 d = alpha - b;
  for (int i = 1; i < n; i++) x[i] /= d;
  *beta = b;
  return (b - alpha) / b;
}

static f64 wyT[WY * WY], wyGram[WY * WY];

/** T of H_0 H_1 ... H_{k-1} = I - V^T T V; the k <= WY reflectors are V's rows, zeros before each leading 1. */
static void blockT(int k, int n, const f64 *v, int ldv, const f64 *tau) {
  gemm(k, k, n, 1, v, ldv, 1, v, 1, ldv, 0, wyGram, WY, 0);
  for (int i = 0; i < k; i++) {
    for (int r = 0; r < i; r++) {
      f64 s = 0;
      for (int p = r; p < i; p++) s += wyT[r * WY + p] * wyGram[p * WY + i];
      wyT[r * WY + i] = -tau[i] * s;
    }
    wyT[i * WY + i] = tau[i];
    for (int r = i + 1; r < k; r++) wyT[r * WY + i] = 0;
  }
}

/** C <- C - (C V^T) T V, or T^T: each row of C (m x n) is reflected. `work` holds 2 m WY numbers. Uses the T of the last blockT. */
static void applyRows(int m, int n, f64 *c, int ldc, int k, const f64 *v, int ldv, int transT, f64 *work) {
  f64 *s = work, *st = work + m * WY;
  gemm(m, k, n, 1, c, ldc, 1, v, 1, ldv, 0, s, WY, 0);
  gemm(m, k, k, 1, s, WY, 1, wyT, transT ? 1 : WY, transT ? WY : 1, 0, st, WY, 0);
  gemm(m, n, k, -1, st, WY, 1, v, ldv, 1, 1, c, ldc, 0);
}

/**
 * Rows of Z (m x n) through Q = H_0 ... H_{count-1}: Z <- Z Q^T (forward = 0: rows become Q z) or Z <- Z Q.
 * Reflector i is row i of V, its leading 1 at column i + shift (what lies before is ignored). `work`: 2 m WY + WY n numbers.
 */
EXPORT(reflectRows) void reflectRows(int m, int n, f64 *z, int ldz, int count, const f64 *v, int ldv, int shift, const f64 *tau, int forward, f64 *work) {
  f64 *clean = work + 2 * m * WY;
  int blocks = (count + WY - 1) / WY;
  for (int t = 0; t < blocks; t++) {
    int first = (forward ? t : blocks - 1 - t) * WY, k = mini(WY, count - first), from = first + shift, len = n - from;
    for (int r = 0; r < k; r++) {
      fill(clean + r * len, r, 0);
      copy(clean + r * len + r, v + (first + r) * ldv + from + r, len - r);
      clean[r * len + r] = 1;
    }
    blockT(k, len, clean, len, tau + first);
    applyRows(m, len, z + from, ldz, k, clean, len, !forward, work);
  }
}

/** Householder QR of A (m x n) given as its transpose `at` (n x m rows): R lands on and below... the row part [j][0..j], reflectors after. */
EXPORT(qr) void qr(int m, int n, f64 *at, f64 *tau, f64 *diag, f64 *work) {
  int count = mini(m, n);
  f64 *clean = work + 2 * n * WY;
  for (int j0 = 0; j0 < count; j0 += WY) {
    int k = mini(WY, count - j0), len = m - j0;
    for (int j = j0; j < j0 + k; j++) {
      f64 *v = at + j * m + j;
      tau[j] = reflector(v, m - j, diag + j);
      for (int i = j + 1; i < j0 + k; i++) {
        f64 *c = at + i * m + j;
        axpy(c, v, m - j, -tau[j] * dot(c, v, m - j));
      }
    }
    if (j0 + k >= n) break;
    for (int r = 0; r < k; r++) fill(clean + r * len, r, 0), copy(clean + r * len + r, at + (j0 + r) * m + j0 + r, len - r);
    blockT(k, len, clean, len, tau + j0);
    applyRows(n - j0 - k, len, at + (j0 + k) * m + j0, m, k, clean, len, 0, work);
  }
}
