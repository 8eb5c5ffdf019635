// Cholesky, LU and triangular solves; blocked, so that gemm does the work.
#define BLOCK 48

/** X <- op(T)^-1 X for triangular T (n x n, strides rs/cs, so the transpose is a swap), X n x cols. */
EXPORT(triangular) void triangular(int n, const f64 *t, int rs, int cs, int lower, int unit, f64 *x, int cols, int ldx) {
  int blocks = (n + BLOCK - 1) / BLOCK;
  for (int s = 0; s < blocks; s++) {
    int i0 = (lower ? s : blocks - 1 - s) * BLOCK, i1 = mini(n, i0 + BLOCK);
    for (int r = i0; r < i1; r++) {
      int i = lower ? r : i1 - 1 - (r - i0);
      f64 *row = x + i * ldx;
      for (int j = lower ? i0 : i + 1; j < (lower ? i : i1); j++) axpy(row, x + j * ldx, cols, -t[i * rs + j * cs]);
      if (!unit) for (int c = 0; c < cols; c++) row[c] /= t[i * rs + i * cs];
    }
    if (lower && i1 < n) gemm(n - i1, cols, i1 - i0, -1, t + i1 * rs + i0 * cs, rs, cs, x + i0 * ldx, ldx, 1, 1, x + i1 * ldx, ldx, 0);
    if (!lower && i0 > 0) gemm(i0, cols, i1 - i0, -1, t + i0 * cs, rs, cs, x + i0 * ldx, ldx, 1, 1, x, ldx, 0);
  }
}

/** Upper triangle of A <- U with A = U^T U. Returns 0, or 1 + the row whose pivot is not positive. */
EXPORT(cholesky) int cholesky(int n, f64 *a) {
  for (int j0 = 0; j0 < n; j0 += BLOCK) {
    int j1 = mini(n, j0 + BLOCK);
    for (int j = j0; j < j1; j++) {
      f64 *row = a + j * n;
      for (int p = j0; p < j; p++) axpy(row + j, a + p * n + j, j1 - j, -a[p * n + j]);
      if (!(row[j] > 0)) return j + 1;
      f64 pivot = row[j] = root(row[j]);
      for (int c = j + 1; c < j1; c++) row[c] /= pivot;
    }
    if (j1 == n) break;
    triangular(j1 - j0, a + j0 * n + j0, 1, n, 1, 0, a + j0 * n + j1, n - j1, n);
    gemm(n - j1, n - j1, j1 - j0, -1, a + j0 * n + j1, 1, n, a + j0 * n + j1, n, 1, 1, a + j1 * n + j1, n, 1);
  }
  return 0;
}

/** PA = LU in place, pivots[i] = row swapped with i. Returns 0, or 1 + the column without a pivot. */
EXPORT(lu) int lu(int n, f64 *a, int *pivots) {
  for (int j0 = 0; j0 < n; j0 += BLOCK) {
    int j1 = mini(n, j0 + BLOCK);
    for (int j = j0; j < j1; j++) {
      int best = j;
      for (int i = j + 1; i < n; i++) if (absf(a[i * n + j]) > absf(a[best * n + j])) best = i;
      pivots[j] = best;
      if (!(absf(a[best * n + j]) > 0)) return j + 1;
      if (best != j) for (int c = 0; c < n; c++) { f64 t = a[j * n + c]; a[j * n + c] = a[best * n + c], a[best * n + c] = t; }
      for (int i = j + 1; i < n; i++) {
        f64 f = a[i * n + j] /= a[j * n + j];
        axpy(a + i * n + j + 1, a + j * n + j + 1, j1 - j - 1, -f);
      }
    }
    if (j1 == n) break;
    triangular(j1 - j0, a + j0 * n + j0, n, 1, 1, 1, a + j0 * n + j1, n - j1, n);
    gemm(n - j1, n - j1, j1 - j0, -1, a + j1 * n + j0, n, 1, a + j0 * n + j1, n, 1, 1, a + j1 * n + j1, n, 0);
  }
  return 0;
}
