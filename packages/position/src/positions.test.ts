import { cpu } from '@attune/backend-cpu'
import { evaluate, substitute } from '@attune/expr'
import { mapWith, readAll, reference, tensor } from '@attune/tensor'
import { expect, it } from 'vitest'
import { alibiSlopes, bindPosition, gridPositions, learnedPositions, mptSlopes, t5Buckets, widened } from './index.ts'
import oracle from './positions-oracle.json' with { type: 'json' }

const noRope = () => {
  throw new Error('no rope here')
}
const at = (i: number, j: number, row: number) => ({ 'q.position': i, 'k.position': j, 'q.row': row, 'k.row': 0, h: 1, s: 0.5 })

it.each(oracle.buckets)('buckets of T5: $buckets up to $maxDistance, both ways: $bidirectional', c => {
  expect([...t5Buckets(c)]).toEqual(c.values)
  expect([c.values[0], c.values.at(-1)!]).toEqual(c.bidirectional ? c.beyond : [0, c.beyond[0]])
})

it.each(oracle.buckets)('the score reads the bucket of its distance: $buckets up to $maxDistance, both ways: $bidirectional', async c => {
  const learned = tensor(
    Array.from({ length: c.buckets * 2 }, (_, i) => i),
    [c.buckets, 2],
  )
  const { score } = bindPosition({ kind: 't5', heads: 2, ...c }, tensor([0], [1], 'i32'), noRope, learned)
  const read = score!.args[1]
  const { out } = await readAll({ out: read.table!.operand as ReturnType<typeof tensor> }, reference())
  const value = (i: number, j: number) => evaluate(score!, at(i, j, 7), (_, [row, head]) => out.data[row * 2 + head]) - 0.5
  const far = c.maxDistance
  for (const d of [0, 1, 2, 3, Math.floor(far / 2), far - 1, far, far + 1, 3 * far]) {
    // The key lies d before the query.
    const index = Math.min(d, far)
    expect(value(4 * far, 4 * far - d)).toBe(2 * c.values[c.bidirectional ? far - index : index] + 1)
    if (c.bidirectional) expect(value(4 * far, 4 * far + d)).toBe(2 * c.values[far + index] + 1)
  }
})

it.each(oracle.alibi)('slopes of ALiBi for $heads heads', ({ heads, slopes }) => {
  alibiSlopes(heads).forEach((x, i) => expect(Math.abs(x - slopes[i]) / slopes[i]).toBeLessThan(1e-6))
  const { score } = bindPosition({ kind: 'alibi', slopes: [0, slopes[0]] }, tensor([0], [1], 'i32'), noRope)
  expect(evaluate(score!, at(9, 4, 2), (_, [head]) => [0, slopes[0]][head])).toBeCloseTo(0.5 - 5 * slopes[0], 6)
})

it.each(oracle.mpt)('slopes of MPT for $heads heads down to 2^-$max', ({ heads, max, slopes }) => {
  mptSlopes(heads, max).forEach((x, i) => expect(Math.abs(x - slopes[i]) / slopes[i]).toBeLessThan(1e-6))
})

it.each(oracle.falcon)('biases of Falcon in bfloat16, head $head of $heads', async ({ heads, head, at: positions, values }) => {
  const { score } = bindPosition({ kind: 'alibi', slopes: alibiSlopes(heads), rounded: 0.25 }, tensor([0], [1], 'i32'), noRope)
  for (const open of [reference, () => cpu({ backend: 'native', threads: 1 }), () => cpu({ backend: 'wasm', threads: 1 })]) {
    const device = await open()
    const ids = tensor(positions, [positions.length], 'i32')
    const { out } = await readAll({ out: mapWith(p => substitute(score!, { s: 0, h: head, 'k.position': p }), [ids]) }, device)
    expect([...out.data]).toEqual(values.map(x => x / 4))
    await device.close()
  }
})

it.each(oracle.grids)(
  'a table learned for a grid of $learned read as one of $size',
  async ({ learned, size, table: values, values: want }) => {
    const grid = widened(gridPositions(learned as [number, number], size as [number, number], 1), 17)
    const shape = [size[0] * size[1], grid.width]
    const whole = tensor([9, 9, ...values], [1 + learned[0] * learned[1], 2])
    const { out } = await readAll({ out: learnedPositions(whole, tensor(grid.at, shape, 'i32'), tensor(grid.weight, shape)) }, reference())
    want.forEach((x, i) => expect(Math.abs(out.data[i] - x)).toBeLessThan(3e-6))
  },
)

it('places of the learned grid itself are its rows', () => {
  expect(gridPositions([2, 3], [2, 3], 1)).toEqual({ width: 1, at: Int32Array.of(1, 2, 3, 4, 5, 6), weight: new Float32Array(6).fill(1) })
})
it('a table of another layer must be given', () => {
  const spec = { kind: 't5', heads: 2, buckets: 8, maxDistance: 20, bidirectional: false, layer: 0 } as const
  expect(() => bindPosition(spec, tensor([0], [1], 'i32'), noRope)).toThrow(/table of layer 0/)
})
