import { readAll, reference, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { sampleOf } from './index.ts'

const device = reference()
const logits = [2, 1, 0.5, 0, -1, -3, 1.5, 0.25]

async function draw(options: number[], { recent = [-1], seed = [1, 0], x = logits } = {}): Promise<{ id: number; logprob: number }> {
  const r = await readAll(
    sampleOf(tensor(x, [1, x.length]), {
      options: tensor([...options, 0, 0, 0], [1, 8]),
      recent: tensor(recent, [1, recent.length], 'i32'),
      key: tensor(seed, [1, 2], 'i32'),
    }),
    device,
  )
  return { id: r.ids.data[0], logprob: r.logprobs.data[0] }
}
async function histogram(options: number[], n: number): Promise<number[]> {
  const count = logits.map(() => 0)
  const rows = 32
  for (let i = 0; i < n; i += rows) {
    const tile = <T>(x: readonly T[]): T[] => Array.from({ length: rows }, () => x).flat()
    const r = await readAll(
      sampleOf(tensor(tile(logits), [rows, 8]), {
        options: tensor(tile([...options, 0, 0, 0]), [rows, 8]),
        recent: tensor(tile([-1]), [rows, 1], 'i32'),
        key: tensor(Array.from({ length: rows }, (_, j) => [7, i + j]).flat(), [rows, 2], 'i32'),
      }),
      device,
    )
    for (const id of r.ids.data) count[id]++
  }
  return count
}

describe('sample', () => {
  it('takes the likeliest at temperature 0, the lower id on a tie', async () => {
    expect((await draw([0, 0, 1, 0, 1])).id).toBe(0)
    expect((await draw([0, 0, 1, 0, 1], { x: [1, 3, 3, 0] })).id).toBe(1)
  })
  it('gives the log-probability of the unchanged logits', async () => {
    const total = Math.log(logits.reduce((n, v) => n + Math.exp(v), 0))
    expect((await draw([0, 0, 1, 0, 1])).logprob).toBeCloseTo(2 - total, 5)
  })
  it('penalises recent tokens', async () => {
    expect((await draw([0, 0, 1, 0, 2], { recent: [0, -1] })).id).toBe(6)
  })
  it('draws by the softmax of logits / temperature (chi-square)', async () => {
    const n = 2048
    const count = await histogram([0.8, 0, 1, 0, 1], n)
    const w = logits.map(x => Math.exp(x / 0.8))
    const total = w.reduce((a, b) => a + b, 0)
    const chi = count.reduce((s, c, i) => s + (c - (n * w[i]) / total) ** 2 / ((n * w[i]) / total), 0)
    expect(chi).toBeLessThan(24.3) // 7 degrees of freedom, p = 0.001
  })
  it('keeps only the top k, the top p and what min-p allows', async () => {
    expect((await histogram([1, 3, 1, 0, 1], 128)).map((c, i) => (c > 0 ? i : -1)).filter(i => i >= 0)).toEqual([0, 1, 6])
    // probabilities: 0.40 (0), 0.24 (6), 0.15 (1) …: 0.5 needs two tokens
    expect((await histogram([1, 0, 0.5, 0, 1], 128)).map((c, i) => (c > 0 ? i : -1)).filter(i => i >= 0)).toEqual([0, 6])
    expect((await histogram([1, 0, 1, 0.3, 1], 128)).map((c, i) => (c > 0 ? i : -1)).filter(i => i >= 0)).toEqual([0, 1, 6])
  })
  it('repeats itself under the same key only', async () => {
    const ids = await Promise.all([1, 1, 2, 3, 4, 5].map(s => draw([5, 0, 1, 0, 1], { seed: [s, 9] })))
    expect(ids[0]).toEqual(ids[1])
    expect(new Set(ids.map(d => d.id)).size).toBeGreaterThan(1)
  })
})
