import { read, reference, type Tensor, tensor } from '@attune/tensor'
import { expect, it } from 'vitest'
import { noise } from '../../tensor/test/gradient.ts'
import { idleNumbers } from './feed-forward.ts'
import { moe, type RouterSpec, route } from './moe.ts'

const device = reference()
const [tokens, experts] = [6, 8]
const logits = noise([tokens, experts], 3).map(x => 3 * x)
const same = (v: Tensor): Tensor => v
const rowOf = (x: Float32Array, t: number) => [...x.subarray(t * experts, (t + 1) * experts)]
const order = (x: readonly number[]) => x.map((_, i) => i).sort((a, b) => x[b] - x[a] || a - b)

/** The choice as the papers say it, one token at a time. */
function plain(z: readonly number[], spec: RouterSpec, correction?: readonly number[]): { chosen: number[]; weights: number[] } {
  const total = z.reduce((a, x) => a + Math.exp(x), 0)
  const scores = z.map(x => (spec.scoring === 'softmax' ? Math.exp(x) / total : 1 / (1 + Math.exp(-x))))
  let worth = scores.map((s, e) => s + (correction?.[e] ?? 0))
  if (spec.groups) {
    const { count, chosen, by } = spec.groups
    const size = experts / count
    const of = (g: number) => worth.slice(g * size, (g + 1) * size).sort((a, b) => b - a)
    const best = order(Array.from({ length: count }, (_, g) => (by === 'max' ? of(g)[0] : of(g)[0] + of(g)[1]))).slice(0, chosen)
    worth = worth.map((w, e) => (best.includes(Math.floor(e / size)) ? w : Number.NEGATIVE_INFINITY))
  }
  const chosen = order(worth).slice(0, spec.perToken)
  const own = chosen.map(e => scores[e])
  const all = own.reduce((a, b) => a + b, 0)
  return { chosen, weights: own.map(w => (spec.scale ?? 1) * (spec.normalise ? w / all : w)) }
}

const specs: [string, RouterSpec, boolean][] = [
  ['softmax', { experts, perToken: 2, scoring: 'softmax', normalise: false }, false],
  ['softmax over the chosen', { experts, perToken: 3, scoring: 'softmax', normalise: true, scale: 2.5 }, false],
  [
    'groups by their best',
    { experts, perToken: 2, scoring: 'softmax', normalise: false, groups: { count: 4, chosen: 2, by: 'max' } },
    false,
  ],
  ['groups by their two best, corrected', { experts, perToken: 3, scoring: 'sigmoid', normalise: true, scale: 1.5, correction: true, groups: { count: 2, chosen: 1, by: 'top2' } }, true], // biome-ignore format: one case
]
it.each(specs)('routes: %s', async (_, spec, corrected) => {
  const correction = corrected ? noise([experts], 7) : undefined
  const { experts: chosen, weights } = route(tensor(logits, [tokens, experts]), spec, correction && tensor(correction, [experts]))
  const have = { chosen: (await read(chosen, device)).data, weights: (await read(weights, device)).data }
  for (let t = 0; t < tokens; t++) {
    const want = plain(rowOf(logits, t), spec, correction && [...correction])
    const at = [t * spec.perToken, (t + 1) * spec.perToken] as const
    expect([...have.chosen.subarray(...at)]).toEqual(want.chosen)
    want.weights.forEach((w, i) => void expect(have.weights[at[0] + i]).toBeCloseTo(w, 6))
  }
})

it('counts what a token passes by', () => {
  const router: RouterSpec = { experts: 8, perToken: 2, scoring: 'softmax', normalise: true }
  const spec = { hidden: 3, activation: 'silu', router, shared: { hidden: 5 } }
  expect(idleNumbers({ kind: 'moe', ...spec }, 4)).toBe(6 * 3 * 3 * 4)
  expect(idleNumbers({ kind: 'gated', hidden: 3, bias: false, activation: 'silu' }, 4)).toBe(0)
})

it('mixes the chosen experts and a gated shared one', async () => {
  const [dim, hidden] = [4, 3]
  const router: RouterSpec = { experts: 2, perToken: 1, scoring: 'softmax', normalise: true }
  const t = (shape: number[], seed: number): Tensor => tensor(noise(shape, seed), shape)
  const x = noise([3, dim], 1)
  const [gate, up, down] = [noise([2, hidden, dim], 2), noise([2, hidden, dim], 3), noise([2, dim, hidden], 4)]
  const z = [5, -5, -5, 5, 5, -5]
  const out = await read(
    moe(
      {
        router: () => tensor(z, [3, 2]),
        experts: { gate: tensor(gate, [2, hidden, dim]), up: tensor(up, [2, hidden, dim]), down: tensor(down, [2, dim, hidden]) },
        shared: { gate: same, up: same, down: same },
        sharedGate: () => t([3, 1], 9),
      } as never,
      tensor(x, [3, dim]),
      { hidden, activation: 'relu', router, shared: { hidden: dim, gated: true } },
    ),
    device,
  )
  for (let n = 0; n < 3; n++) {
    const e = z[2 * n] > 0 ? 0 : 1
    const row = x.subarray(n * dim, (n + 1) * dim)
    const dot = (m: Float32Array, at: number) => row.reduce((a, v, i) => a + v * m[at + i], 0)
    const h = Array.from({ length: hidden }, (_, j) => Math.max(0, dot(gate, (e * hidden + j) * dim)) * dot(up, (e * hidden + j) * dim))
    const open = 1 / (1 + Math.exp(-noise([3, 1], 9)[n]))
    for (let i = 0; i < dim; i++) {
      const own = h.reduce((a, v, j) => a + v * down[(e * dim + i) * hidden + j], 0)
      expect(out.data[n * dim + i]).toBeCloseTo(own + open * Math.max(0, row[i]) * row[i], 5)
    }
  }
})
