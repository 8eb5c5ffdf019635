// Small dense problems at the leaves: implicit QL for tridiagonal, one-sided Jacobi for the singular values.

/** Implicit QL on (d, e): rows of Z (n rows of length n, ld) become the eigenvectors. Returns 0, or 1 without convergence. */
static int ql(int n, f64 *d, f64 *e, f64 *z, int ld) {
  for (int l = 0; l < n; l++)
    for (int tries = 0;; tries++) {
      int m = l;
      while (m < n - 1 && absf(e[m]) > EPS * (absf(d[m]) + absf(d[m + 1]))) m++;
      if (m == l) break;
      if (tries == 80) return 1;
      f64 g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot2(g, 1), s = 1, c = 1, p = 0;
      g = d[m] - d[l] + e[l] / (g + __builtin_copysign(r, g));
      int i = m - 1;
      for (; i >= l; i--) {
        f64 f = s * e[i], b = c * e[i];
        r = hypot2(f, g);
        if (i + 1 < n - 1 || m < n - 1) e[i + 1] = r;
        if (r == 0) { d[i + 1] -= p; break; }
        s = f / r, c = g / r, g = d[i + 1] - p, r = (d[i] - g) * s + 2 * c * b, p = s * r;
        d[i + 1] = g + p, g = c * r - b;
        rotate(z + i * ld, z + (i + 1) * ld, n, c, -s);
      }
      if (i < l) d[l] -= p, e[l] = g;
      if (m < n - 1) e[m] = 0;
    }
  return 0;
}

/** Row `at` of Q becomes a unit vector orthogonal to the rows before it (coordinate vectors, Gram-Schmidt twice, the best wins). */
static void complete(int at, int n, f64 *q, int ld) {
  f64 *to = q + at * ld, best = -1;
  int pick = 0;
  for (int c = 0; c < n; c++) {
    f64 left = 1;
    for (int i = 0; i < at; i++) left -= q[i * ld + c] * q[i * ld + c];
    if (left > best) best = left, pick = c;
  }
  fill(to, n, 0);
  to[pick] = 1;
  for (int pass = 0; pass < 3; pass++) {
    for (int i = 0; i < at; i++) axpy(to, q + i * ld, n, -dot(to, q + i * ld, n));
    scale(to, n, 1 / norm(to, n));
  }
}

/**
 * One-sided Jacobi: W (n x m rows, n <= m) = U^T diag(s) V. On return the rows of V (m x m when `full`, else the first n)
 * hold right vectors, the rows of U (n x n) left vectors, s descending. W lies in V's first n rows and is of order 1 or less.
 */
static void jacobi(int n, int m, f64 *v, int ldv, f64 *u, int ldu, f64 *s, int full) {
  for (int i = 0; i < n; i++) fill(u + i * ldu, n, 0), u[i * ldu + i] = 1;
  const f64 tiny = EPS * EPS; // zero, where the whole problem is scaled to norm 1; its square does not underflow
  for (int sweep = 0, moved = 1; moved && sweep < 40; sweep++) {
    moved = 0;
    for (int i = 0; i < n; i++)
      for (int j = i + 1; j < n; j++) {
        f64 *x = v + i * ldv, *y = v + j * ldv;
        f64 a = dot(x, x, m), b = dot(y, y, m), c = dot(x, y, m);
        if (a < b) { // keep the larger first: sorted when it ends, and it converges faster
          for (int t = 0; t < m; t++) { f64 h = x[t]; x[t] = y[t], y[t] = h; }
          for (int t = 0; t < n; t++) { f64 h = u[i * ldu + t]; u[i * ldu + t] = u[j * ldu + t], u[j * ldu + t] = h; }
          f64 h = a; a = b, b = h;
          moved = 1; // the row that came up has not met those in between
        }
        if (root(b) <= tiny || absf(c) <= 8 * EPS * root(a) * root(b)) continue;
        moved = 1;
        f64 zeta = (b - a) / (2 * c), t = __builtin_copysign(1, zeta) / (absf(zeta) + hypot2(1, zeta)), cs = 1 / root(1 + t * t), sn = cs * t;
        rotate(x, y, m, cs, -sn);
        rotate(u + i * ldu, u + j * ldu, n, cs, -sn);
      }
  }
  for (int i = 0; i < n; i++) {
    s[i] = norm(v + i * ldv, m);
    if (s[i] > tiny) scale(v + i * ldv, m, 1 / s[i]);
    else complete(i, m, v, ldv);
  }
  if (full) for (int i = n; i < m; i++) complete(i, m, v, ldv);
}
