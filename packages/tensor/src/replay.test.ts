import { cpu } from '@attune/backend-cpu'
import { poisoned } from '@attune/testing'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  copyOf,
  type Device,
  gatherRows,
  input,
  length,
  mapWith,
  matmulOf,
  max,
  read,
  record,
  reference,
  scatterRows,
  state,
  sum,
  type Tensor,
  tensor,
} from './index.ts'

const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())

const weights = tensor(
  Float32Array.from({ length: 16 }, (_, i) => Math.sin(i * 7)),
  [4, 4],
)
/** Calls over values (N, 4): a, b are earlier values, index (N) names rows. */
const calls: Readonly<Record<string, (a: Tensor, b: Tensor, index: Tensor) => Tensor>> = {
  add: (a, b) => mapWith((x, y) => x.add(y), [a, b]),
  gate: (a, b) => mapWith((x, y) => x.mul(y.sigmoid()), [a, b]),
  project: a => matmulOf(a, weights),
  mix: (a, b) => mapWith((x, y) => x.sub(y).tanh(), [a, sum(b, 0, true)]),
  softmax: a => {
    const e = mapWith((x, m) => x.sub(m).exp(), [a, max(a, 1, true)])
    return mapWith((x, s) => x.div(s), [e, sum(e, 1, true)])
  },
  columns: (a, b) => mapWith((x, y) => x.add(y), [a, b.slice(1, 2, 3)]),
  across: (a, b) => mapWith((x, y) => x.max(y), [a.transpose(), b.transpose()]).transpose(),
  gather: (a, _, index) => gatherRows(a, index),
  scatter: (a, b, index) => scatterRows(copyOf(a), index, b, 'add'),
  outer: (a, b) => matmulOf(matmulOf(a, b.transpose()), b),
}
type Program = readonly (readonly [name: string, a: number, b: number])[]
type Values = Readonly<Record<'x' | 'y', Float32Array>> & { readonly index: Int32Array }

/** The last value, and one from the middle that must outlive what follows. */
function graphOf(program: Program, x: Tensor, y: Tensor, index: Tensor): { last: Tensor; middle: Tensor } {
  const values = [x, y]
  for (const [name, a, b] of program) values.push(calls[name](values[a % values.length], values[b % values.length], index))
  return { last: values.at(-1)!, middle: values[Math.floor(values.length / 2)] }
}

/** The same, each call on its own: its results become constants. */
async function eagerly(device: Device, program: Program, n: number, { x, y, index }: Values): Promise<Record<'last' | 'middle', number[]>> {
  const values = [tensor(x, [n, 4]), tensor(y, [n, 4])]
  const data = [[...x], [...y]]
  for (const [name, a, b] of program) {
    const made = await read(copyOf(calls[name](values[a % values.length], values[b % values.length], tensor(index, [n], 'i32'))), device)
    values.push(tensor(made.data, [n, 4]))
    data.push([...made.data])
  }
  return { last: data.at(-1)!, middle: data[Math.floor(data.length / 2)] }
}

const steps = fc.array(fc.tuple(fc.constantFrom(...Object.keys(calls)), fc.nat(9), fc.nat(9)), { minLength: 1, maxLength: 8 })
const sizes = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 3 })

describe.each([
  ['reference', async () => poisoned(reference()), 0, 120],
  ['CPU', async () => poisoned(await native), 1e-4, 40],
] as const)('a recording on the %s device', (_, open, tolerance, numRuns) => {
  it('gives what its calls give one by one, run after run', async () => {
    const device = await open()
    await fc.assert(
      fc.asyncProperty(steps, sizes, fc.nat(1000), async (program, runs, seed) => {
        const n = length('n', 5)
        const outputs = graphOf(program, input('x', 'f32', [n, 4]), input('y', 'f32', [n, 4]), input('index', 'i32', [n]))
        const fast = await record(device, { outputs })
        const slow = await record(device, { outputs }, { check: true })
        for (const [run, size] of runs.entries()) {
          const inputs = some(size, seed + run)
          const want = await eagerly(device, program, size, inputs)
          for (const r of [fast, slow]) {
            await r.run({ lengths: { n: size }, inputs })
            for (const name of ['last', 'middle'] as const) near([...(await r.read(name)).data], want[name], tolerance)
          }
        }
        for (const r of [fast, slow]) {
          r.dispose()
          r.arena.dispose()
        }
      }),
      { numRuns },
    )
  })
})

describe('check', () => {
  const x = tensor([1, -1, 4])
  const bad = () => {
    const root = mapWith(a => a.sqrt(), [x])
    return sum(matmulOf(root.unsqueeze(0), weights.slice(0, 0, 3)), 1)
  }
  it('names the op that first gives NaN', async () => {
    for (const device of [reference(), await native])
      await expect(read(bad(), device, { check: true })).rejects.toMatchObject({
        code: 'ERR_NAN',
        message: "'map' of (3) gives NaN in output 0 (3), element 1",
        data: { op: 'map', output: 0, element: 1 },
      })
  })
  it('is asked for', async () => expect((await read(bad(), reference())).data[0]).toBeNaN())
  it('does not mind what a state holds where nothing was written', async () => {
    const device = poisoned(reference())
    const memory = state('memory', 'f32', [2, 1])
    const after = scatterRows(memory, tensor([1], [1], 'i32'), tensor([3], [1, 1]))
    const buffer = device.alloc(8)
    const own = gatherRows(after, tensor([1], [1], 'i32'))
    const r = await record(device, { outputs: { own }, effects: [after] }, { check: true })
    await r.run({ states: { memory: buffer } })
    expect((await r.read('own')).data[0]).toBe(3)
  })
})

function some(n: number, seed: number): Values {
  const value = (i: number) => Math.fround(Math.sin((i + 1) * (seed + 3) * 1.7))
  return {
    x: Float32Array.from({ length: n * 4 }, (_, i) => value(i)),
    y: Float32Array.from({ length: n * 4 }, (_, i) => value(i + 100)),
    index: Int32Array.from({ length: n }, (_, i) => (i * 7 + seed) % n),
  }
}
function near(got: readonly number[], want: readonly number[], tolerance: number): void {
  if (tolerance === 0) return void expect(got).toEqual(want)
  const size = want.reduce((m, x) => Math.max(m, Math.abs(x)), 1)
  expect(got.length).toBe(want.length)
  want.forEach((w, i) => expect(Math.abs(got[i] - w)).toBeLessThanOrEqual(tolerance * size))
}
