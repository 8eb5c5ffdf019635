// A (m x n, m >= n) = Q_L B Q_R^T with B upper bidiagonal: blocked Householder reduction (LAPACK's dgebrd).

/** y[0, n) = A^T x over m rows. */
static void gemvT(int m, int n, const f64 *a, int ld, const f64 *x, f64 *restrict y) {
  fill(y, n, 0);
  int i = 0;
  for (; i + 4 <= m; i += 4) {
    const f64 *a0 = a + i * ld, *a1 = a0 + ld, *a2 = a1 + ld, *a3 = a2 + ld;
    f64 x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
    for (int c = 0; c < n; c++) y[c] += (a0[c] * x0 + a1[c] * x1) + (a2[c] * x2 + a3[c] * x3);
  }
  for (; i < m; i++) axpy(y, a + i * ld, n, x[i]);
}

/** x -= sum_q s_q rows_q, with s_q = factor_q . probe. */
static void project(int count, f64 *x, int n, const f64 *rows, int ld, const f64 *factor, int ldf, const f64 *probe, int len) {
  for (int q = 0; q < count; q++) axpy(x, rows + q * ld, n, -dot(factor + q * ldf, probe, len));
}

/** Left reflectors become rows of `left` (n x m, leading 1 at column j), right ones rows of `right` (n x n, at j + 1). `work`: PANEL (m + n). */
EXPORT(bidiag) void bidiag(int m, int n, f64 *a, f64 *left, f64 *right, f64 *d, f64 *e, f64 *tauL, f64 *tauR, f64 *work) {
  f64 *x = work, *y = work + PANEL * m;
  for (int j0 = 0; j0 < n; j0 += PANEL) {
    int k = mini(PANEL, n - j0);
    f64 *vl = left + j0 * m, *ur = right + j0 * n;
    for (int p = 0; p < k; p++) {
      int j = j0 + p, rows = m - j, len = n - j - 1;
      f64 *u = vl + p * m + j, *row = a + j * n + j + 1, *yp = y + p * n + j + 1;
      for (int i = 0; i < rows; i++) u[i] = a[(j + i) * n + j];
      for (int q = 0; q < p; q++) {
        axpy(u, vl + q * m + j, rows, -y[q * n + j]);
        axpy(u, x + q * m + j, rows, -ur[q * n + j]);
      }
      tauL[j] = reflector(u, rows, d + j);
      if (len == 0) break;
      gemvT(rows, len, row, n, u, yp);
      project(p, yp, len, y + j + 1, n, vl + j, m, u, rows);
      project(p, yp, len, ur + j + 1, n, x + j, m, u, rows);
      scale(yp, len, tauL[j]);
      f64 *w = ur + p * n + j + 1, *xp = x + p * m + j + 1;
      copy(w, row, len);
      for (int q = 0; q <= p; q++) axpy(w, y + q * n + j + 1, len, -vl[q * m + j]);
      for (int q = 0; q < p; q++) axpy(w, ur + q * n + j + 1, len, -x[q * m + j]);
      tauR[j] = reflector(w, len, e + j);
      for (int i = 0; i < rows - 1; i++) xp[i] = dot(row + (i + 1) * n, w, len);
      project(p + 1, xp, rows - 1, vl + j + 1, m, y + j + 1, n, w, len);
      project(p, xp, rows - 1, x + j + 1, m, ur + j + 1, n, w, len);
      scale(xp, rows - 1, tauR[j]);
    }
    int j1 = j0 + k;
    if (j1 >= n) break;
    f64 *rest = a + j1 * n + j1;
    gemm(m - j1, n - j1, k, -1, vl + j1, 1, m, y + j1, n, 1, 1, rest, n, 0);
    gemm(m - j1, n - j1, k, -1, x + j1, 1, m, ur + j1, n, 1, 1, rest, n, 0);
  }
}
