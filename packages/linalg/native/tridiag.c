// Symmetric A = Q T Q^T: blocked Householder reduction working on the upper triangle's rows.
#define PANEL 32

/** y = S x with S in the upper triangle. */
static void symv(int n, const f64 *a, int ld, const f64 *x, f64 *y) {
  fill(y, n, 0);
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    const f64 *a0 = a + i * ld, *a1 = a0 + ld, *a2 = a1 + ld, *a3 = a2 + ld;
    for (int r = 0; r < 4; r++) {
      const f64 *row = a0 + r * ld;
      y[i + r] += row[i + r] * x[i + r];
      for (int c = i + r + 1; c < i + 4; c++) y[i + r] += row[c] * x[c], y[c] += row[c] * x[i + r];
    }
    v2 x0 = SPLAT(x[i]), x1 = SPLAT(x[i + 1]), x2 = SPLAT(x[i + 2]), x3 = SPLAT(x[i + 3]);
    v2 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int c = i + 4;
    for (; c + 2 <= n; c += 2) {
      v2 r0 = LOAD(a0 + c), r1 = LOAD(a1 + c), r2 = LOAD(a2 + c), r3 = LOAD(a3 + c), xc = LOAD(x + c);
      s0 += r0 * xc, s1 += r1 * xc, s2 += r2 * xc, s3 += r3 * xc;
      STORE(y + c, LOAD(y + c) + ((r0 * x0 + r1 * x1) + (r2 * x2 + r3 * x3)));
    }
    f64 t0 = s0[0] + s0[1], t1 = s1[0] + s1[1], t2 = s2[0] + s2[1], t3 = s3[0] + s3[1];
    for (; c < n; c++) {
      t0 += a0[c] * x[c], t1 += a1[c] * x[c], t2 += a2[c] * x[c], t3 += a3[c] * x[c];
      y[c] += (a0[c] * x[i] + a1[c] * x[i + 1]) + (a2[c] * x[i + 2] + a3[c] * x[i + 3]);
    }
    y[i] += t0, y[i + 1] += t1, y[i + 2] += t2, y[i + 3] += t3;
  }
  for (; i < n; i++) {
    const f64 *row = a + i * ld;
    y[i] += row[i] * x[i];
    for (int c = i + 1; c < n; c++) y[i] += row[c] * x[c], y[c] += row[c] * x[i];
  }
}

/** Reflector j (leading 1 at column j + 1) replaces row j of A; tau, T's diagonal d and off-diagonal e beside. `work`: 3 PANEL n. */
EXPORT(tridiag) void tridiag(int n, f64 *a, f64 *d, f64 *e, f64 *tau, f64 *work) {
  f64 *v = work, *w = work + PANEL * n, *again = w + PANEL * n; // V, W, V: [V; W] and [W; V] are both contiguous
  for (int j0 = 0; j0 < n; j0 += PANEL) {
    int k = mini(PANEL, n - j0);
    for (int p = 0; p < k; p++) {
      int j = j0 + p, len = n - j - 1;
      f64 *row = a + j * n + j;
      for (int q = 0; q < p; q++) {
        axpy(row, w + q * n + j, len + 1, -v[q * n + j]);
        axpy(row, v + q * n + j, len + 1, -w[q * n + j]);
      }
      d[j] = row[0];
      if (len == 0) break;
      f64 *vj = v + p * n + j + 1, *wj = w + p * n + j + 1;
      tau[j] = reflector(row + 1, len, e + j);
      copy(vj, row + 1, len);
      symv(len, a + (j + 1) * n + j + 1, n, vj, wj);
      for (int q = 0; q < p; q++) {
        const f64 *vq = v + q * n + j + 1, *wq = w + q * n + j + 1;
        f64 s = dot(wq, vj, len), t = dot(vq, vj, len);
        axpy(wj, vq, len, -s);
        axpy(wj, wq, len, -t);
      }
      scale(wj, len, tau[j]);
      axpy(wj, vj, len, -0.5 * tau[j] * dot(wj, vj, len));
    }
    int j1 = j0 + k, rest = n - j1;
    if (rest <= 0) break;
    for (int q = 0; q < k; q++) copy(again + q * n + j1, v + q * n + j1, rest);
    gemm(rest, rest, 2 * k, -1, v + j1, 1, n, w + j1, n, 1, 1, a + j1 * n + j1, n, 1);
  }
}
