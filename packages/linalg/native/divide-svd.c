// Singular values of an upper bidiagonal matrix by divide and conquer (Gu and Eisenstat, as LAPACK's dbdsdc).
// Node: n rows, m = n or n + 1 columns. Triplet i lies in row i of U (n x n) and of V (m x m); when m = n + 1, row n of V is the null vector.

static void mergeBidiag(int n, int m, int n1, f64 *d, f64 beta, f64 *u, int ldu, f64 *v, int ldv, int *order, Divide w) {
  int k = 1, dead = 0, prev = -1;
  f64 alpha = d[n1], big = maxf(absf(alpha), absf(beta));
  for (int i = 0; i < n; i++) {
    w.z[i] = i <= n1 ? alpha * v[i * ldv + n1] : beta * v[i * ldv + n1 + 1];
    w.type[i] = i < n1 ? 1 : i == n1 ? 2 : 3;
    if (i != n1) big = maxf(big, d[i]);
  }
  f64 tol = 8 * EPS * maxf(big, 1e-100), null = m > n ? beta * v[n * ldv + n1 + 1] : 0, z0 = hypot2(w.z[n1], null);
  if (m > n && z0 > tol) rotate(v + n1 * ldv, v + n * ldv, m, w.z[n1] / z0, null / z0);
  if (m > n) w.z[n1] = z0;
  if (absf(w.z[n1]) <= tol) w.z[n1] = tol;
  d[n1] = 0, w.kept[0] = n1;
  int *merged = w.sorted; // the order without the middle row
  for (int a = 0, b = n1 + 1, t = 0; a < n1 || b < n;) merged[t++] = b >= n || (a < n1 && d[order[a]] <= d[order[b]]) ? order[a++] : order[b++];
  for (int t = 0; t < n - 1; t++) {
    int j = merged[t];
    if (absf(w.z[j]) <= tol) { w.gone[dead++] = j; continue; }
    if (prev >= 0) {
      if (d[j] - d[prev] <= tol) {
        f64 s = w.z[prev], c = w.z[j], tau = hypot2(c, s);
        w.z[j] = tau, w.z[prev] = 0;
        rotate(u + prev * ldu, u + j * ldu, n, c / tau, -s / tau);
        rotate(v + prev * ldv, v + j * ldv, m, c / tau, -s / tau);
        if (w.type[prev] != w.type[j]) w.type[prev] = w.type[j] = 2;
        w.gone[dead++] = prev, prev = j;
        continue;
      }
      w.kept[k++] = prev;
    }
    prev = j;
  }
  if (prev >= 0) w.kept[k++] = prev;
  for (int i = 0; i < k; i++) w.dk[i] = d[w.kept[i]], w.zk[i] = w.z[w.kept[i]];
  for (int i = 0; i < dead; i++) w.z[i] = d[w.gone[i]];
  if (k > 1) w.dk[1] = maxf(w.dk[1], tol / 2);
  group(k, &w);
  for (int i = 0; i < k; i++) w.mu[i] = secularRoot(k, i, 1, w.dk, w.zk, 1, w.delta, w.origin + i);
  refineZ(k, 1, w.dk, w.zk, w.mu, w.origin, w.zhat);
  for (int side = 0; side < 2; side++) { // right vectors z_j / (d_j^2 - s^2), left ones d_j times that and -1 for the middle row
    for (int i = 0; i < k; i++) {
      for (int j = 0; j < k; j++) {
        f64 t = w.zhat[j] / (gapOf(1, w.dk, j, w.origin[i]) - w.mu[i]);
        w.delta[j] = side == 0 ? t : j == 0 ? -1 : w.dk[j] * t;
      }
      place(i, k, &w);
    }
    if (side == 0) combine(k, dead, 0, n1 + 1, m - n1 - 1, v, ldv, &w);
    else combine(k, dead, 0, n1 + 1, n - n1 - 1, u, ldu, &w);
  }
  for (int i = 0; i < k; i++) {
    f64 pole = w.dk[w.origin[i]];
    d[i] = pole + w.mu[i] / (pole + root(pole * pole + w.mu[i]));
  }
  for (int i = 0; i < dead; i++) d[k + i] = w.z[i];
  settle(k, n, d, order, w.sorted);
}

static void divideBidiag(int n, int m, f64 *d, f64 *e, f64 *u, int ldu, f64 *v, int ldv, int *order, Divide w) {
  for (int i = 0; i < m; i++) fill(v + i * ldv, m, 0);
  if (n <= LEAF) {
    for (int i = 0; i < n; i++) {
      v[i * ldv + i] = d[i];
      if (i + 1 < m) v[i * ldv + i + 1] = e[i];
    }
    jacobi(n, m, v, ldv, u, ldu, d, 1);
    for (int i = 0; i < n; i++) order[i] = n - 1 - i;
    return;
  }
  int n1 = n / 2, n2 = n - n1 - 1, c2 = n1 + 1;
  for (int i = 0; i < n; i++) fill(u + i * ldu, n, 0);
  u[n1 * ldu + n1] = 1;
  divideBidiag(n1, n1 + 1, d, e, u, ldu, v, ldv, order, w);
  divideBidiag(n2, m - c2, d + c2, e + c2, u + c2 * ldu + c2, ldu, v + c2 * ldv + c2, ldv, order + c2, w);
  for (int i = c2; i < n; i++) order[i] += c2;
  mergeBidiag(n, m, n1, d, e[n1], u, ldu, v, ldv, order, w);
}

/** (d, e) -> singular values in d, left vectors as rows of U, right ones as rows of V, order[i] = row of the i-th smallest. Scratch as `divide`. */
EXPORT(divideSvd) void divideSvd(int n, f64 *d, f64 *e, f64 *u, f64 *v, int *order, f64 *work, int *iwork) {
  f64 big = 0;
  for (int i = 0; i < n; i++) big = maxf(big, maxf(absf(d[i]), i < n - 1 ? absf(e[i]) : 0));
  f64 s = binade(big);
  if (s > 0) for (int i = 0; i < n; i++) d[i] /= s, e[i] /= s; // now |B| is near 1: mergeBidiag's floor on tol counts on it
  divideBidiag(n, n, d, e, u, n, v, n, order, carve(n, n, work, iwork));
  scale(d, n, s);
}
