// C (+)= alpha * op(A) op(B): packed panels, a 4 x 4 register tile of SIMD pairs (about 20 GFLOP/s per core when packed).
#define MR 4
#define NR 4
#define MC 96
#define KC 256
#define NC 1024

static f64 packedA[MC * KC], packedB[KC * NC];

static void tile(int k, const f64 *a, const f64 *b, f64 *c, int ldc) {
  v2 c00 = {0}, c01 = {0}, c10 = {0}, c11 = {0}, c20 = {0}, c21 = {0}, c30 = {0}, c31 = {0};
  for (int p = 0; p < k; p++, a += MR, b += NR) {
    v2 b0 = LOAD(b), b1 = LOAD(b + 2), x;
    x = SPLAT(a[0]), c00 += x * b0, c01 += x * b1;
    x = SPLAT(a[1]), c10 += x * b0, c11 += x * b1;
    x = SPLAT(a[2]), c20 += x * b0, c21 += x * b1;
    x = SPLAT(a[3]), c30 += x * b0, c31 += x * b1;
  }
  STORE(c, LOAD(c) + c00), STORE(c + 2, LOAD(c + 2) + c01), c += ldc;
  STORE(c, LOAD(c) + c10), STORE(c + 2, LOAD(c + 2) + c11), c += ldc;
  STORE(c, LOAD(c) + c20), STORE(c + 2, LOAD(c + 2) + c21), c += ldc;
  STORE(c, LOAD(c) + c30), STORE(c + 2, LOAD(c + 2) + c31);
}

static void packA(int m, int k, f64 alpha, const f64 *a, int rs, int cs) {
  f64 *to = packedA;
  for (int i = 0; i < m; i += MR)
    for (int p = 0; p < k; p++, to += MR)
      for (int r = 0; r < MR; r++) to[r] = i + r < m ? alpha * a[(i + r) * rs + p * cs] : 0;
}

static void packB(int k, int n, const f64 *b, int rs, int cs) {
  int j = 0;
  for (; cs == 1 && j + 2 * NR <= n; j += 2 * NR) { // two panels at once: a whole cache line per row
    f64 *to = packedB + j * k, *next = to + NR * k;
    for (int p = 0; p < k; p++, to += NR, next += NR) {
      const f64 *from = b + p * rs + j;
      STORE(to, LOAD(from)), STORE(to + 2, LOAD(from + 2));
      STORE(next, LOAD(from + 4)), STORE(next + 2, LOAD(from + 6));
    }
  }
  for (; j < n; j += NR)
    for (int p = 0; p < k; p++)
      for (int c = 0; c < NR; c++) packedB[j * k + p * NR + c] = j + c < n ? b[p * rs + (j + c) * cs] : 0;
}

/** `upper` leaves tiles wholly below C's diagonal untouched (symmetric updates). `add` accumulates into C, else C is set. */
EXPORT(gemm) void gemm(int m, int n, int k, f64 alpha, const f64 *a, int rsa, int csa, const f64 *b, int rsb, int csb, int add, f64 *c, int ldc, int upper) {
  if (!add) for (int i = 0; i < m; i++) fill(c + i * ldc, n, 0);
  for (int jc = 0; jc < n; jc += NC) {
    int nc = mini(NC, n - jc);
    for (int pc = 0; pc < k; pc += KC) {
      int kc = mini(KC, k - pc);
      packB(kc, nc, b + pc * rsb + jc * csb, rsb, csb);
      for (int ic = 0; ic < m; ic += MC) {
        int mc = mini(MC, m - ic);
        if (upper && ic >= jc + nc) break;
        packA(mc, kc, alpha, a + ic * rsa + pc * csa, rsa, csa);
        for (int jr = 0; jr < nc; jr += NR)
          for (int ir = 0; ir < mc; ir += MR) {
            int i = ic + ir, j = jc + jr;
            if (upper && i >= j + NR) break;
            f64 *to = c + i * ldc + j;
            if (i + MR <= m && j + NR <= n) tile(kc, packedA + ir * kc, packedB + jr * kc, to, ldc);
            else {
              f64 edge[MR * NR] = {0};
              tile(kc, packedA + ir * kc, packedB + jr * kc, edge, NR);
              for (int r = 0; r < MR && i + r < m; r++)
                for (int s = 0; s < NR && j + s < n; s++) to[r * ldc + s] += edge[r * NR + s];
            }
          }
      }
    }
  }
}
