/**
 * Times by hand, kept out of CI: `node internal/build/quick.mjs && node packages/linalg/bench.mjs [eigh] [svd] [top] [flat]`.
 * Prints wall and CPU seconds of one thread (on a shared machine the second is the fairer one) and the residual.
 */
import { eigh, gram, matmul, svd, topEigen } from './dist/index.js'

const wanted = process.argv.slice(2)
const asked = name => wanted.length === 0 || wanted.includes(name)

if (asked('eigh'))
  for (const n of [64, 128, 576, 576, 1024, 2048]) {
    const a = symmetric(n)
    const { values, vectors } = timed(`eigh ${n}`, () => eigh(a))
    console.log('  residual', residual(a, values, vectors))
  }

if (asked('svd'))
  for (const [m, n] of [
    [64, 64],
    [128, 128],
    [576, 576],
    [2048, 2048],
    [8192, 1024],
  ]) {
    const a = { rows: m, cols: n, data: noise(m * n) }
    timed(`svd ${m} x ${n}`, () => svd(a))
  }

if (asked('gemm')) {
  const a = { rows: 2048, cols: 2048, data: noise(2048 * 2048) }
  timed('matmul 2048', () => matmul(a, a))
  timed('gram of 1024 x 4096 float32', () => gram({ rows: 1024, cols: 4096, data: Float32Array.from(a.data) }))
}

if (asked('top')) top('power law', i => 1 / (i + 1))
if (asked('flat')) top('flat: Marchenko-Pastur, twice as many tokens as channels', (i, n) => marchenkoPastur(1 - (i + 0.5) / n, 0.5))

function top(name, value, n = 8192, r = 512) {
  const a = withSpectrum(n, i => value(i, n))
  const { values, vectors } = timed(`topEigen ${r} of ${n}, ${name}`, () => topEigen(a, r))
  const exact = Float64Array.from({ length: r }, (_, i) => value(i, n))
  console.log(
    '  residual',
    residual(a, values, vectors),
    'values off',
    Math.max(...exact.map((x, i) => Math.abs(x - values[i]))) / exact[0],
  )
}

function timed(name, body) {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = body()
  const used = process.cpuUsage(cpu)
  console.log(`${name}: ${((performance.now() - start) / 1e3).toFixed(2)} s wall, ${((used.user + used.system) / 1e6).toFixed(2)} s CPU`)
  return result
}

function residual(a, values, vectors) {
  const product = matmul(a, vectors)
  let worst = 0
  for (let i = 0; i < product.data.length; i++)
    worst = Math.max(worst, Math.abs(product.data[i] - values[i % values.length] * vectors.data[i]))
  return worst / Math.abs(values[0])
}

function noise(count, seed = 1) {
  let x = seed
  return Float64Array.from({ length: count }, () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 2 ** 32 - 0.5
  })
}

function symmetric(n) {
  const data = noise(n * n)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) data[i * n + j] = data[j * n + i]
  return { rows: n, cols: n, data }
}

/** Q diag(value) Q^T with Q a product of four reflections. */
function withSpectrum(n, value) {
  const data = new Float64Array(n * n)
  for (let i = 0; i < n; i++) data[i * n + i] = value(i)
  for (let k = 0; k < 4; k++) {
    const v = noise(n, 17 + k)
    const norm = Math.sqrt(v.reduce((s, x) => s + x * x, 0))
    for (let i = 0; i < n; i++) v[i] /= norm
    const w = new Float64Array(n)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) w[i] += data[i * n + j] * v[j]
    const s = w.reduce((t, x, i) => t + x * v[i], 0)
    for (let i = 0; i < n; i++) w[i] = 2 * (w[i] - s * v[i])
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) data[i * n + j] -= v[i] * w[j] + w[i] * v[j]
  }
  return { rows: n, cols: n, data }
}

/** The quantile p of the eigenvalue distribution of a Gram with `ratio` = channels / tokens, by bisection on its integral. */
function marchenkoPastur(p, ratio) {
  const [lo, hi] = [(1 - Math.sqrt(ratio)) ** 2, (1 + Math.sqrt(ratio)) ** 2]
  marchenkoPastur.table ??= (() => {
    const steps = 200_000
    const out = new Float64Array(steps + 1)
    for (let i = 1; i <= steps; i++) {
      const x = lo + ((i - 0.5) / steps) * (hi - lo)
      out[i] = out[i - 1] + Math.sqrt((hi - x) * (x - lo)) / x
    }
    return out.map(x => x / out[steps])
  })()
  const table = marchenkoPastur.table
  let [a, b] = [0, table.length - 1]
  while (b - a > 1) {
    const mid = (a + b) >> 1
    if (table[mid] < p) a = mid
    else b = mid
  }
  return lo + ((a + (p - table[a]) / (table[b] - table[a])) / (table.length - 1)) * (hi - lo)
}
