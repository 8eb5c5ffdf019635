import { variable } from '@attune/expr'
import {
  copyOf,
  type Dim,
  gatherRows,
  input,
  length,
  mapExpr,
  mapWith,
  matmulOf,
  reduceTo,
  reference,
  type Storage,
  type Tensor,
} from '@attune/tensor'
import { poisoned } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { runOn } from '../../testing/src/run-on.ts'
import { openWebGpu, whyNoVulkan } from './open.ts'

/** Numbers by a seed, the same every time. */
function source(seed: number) {
  let x = seed * 2654435761 + 1
  const next = (): number => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 2 ** 32
  }
  return {
    next,
    below: (n: number): number => Math.floor(next() * n),
    pick: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)],
  }
}
type Source = ReturnType<typeof source>

/** A graph of one op over strided views, with Lengths anywhere in its shape, shorter than their capacity. */
function caseOf(seed: number) {
  const r = source(seed)
  const lengths: Record<string, number> = {}
  const inputs: Record<string, Float32Array | Int32Array> = {}
  const dim = (): Dim => {
    if (r.next() < 0.6) return 1 + r.below(5)
    const name = `n${Object.keys(lengths).length}`
    const made = length(name, 4 + r.below(5))
    lengths[name] = 1 + r.below(made.max)
    return made
  }
  const size = (d: Dim): number => (typeof d === 'number' ? d : lengths[d.name])
  /** A view of this shape: its axes lie in another order, and an axis of a number may be a slice of a longer one. */
  const view = (shape: readonly Dim[], dtype: 'f32' | 'i32' = 'f32', of = (): number => r.next() * 8 - 4): Tensor => {
    const order = shape.map((_, a) => a).sort(() => r.next() - 0.5)
    const longer = shape.map(d => (typeof d === 'number' && r.next() < 0.3 ? 2 : 0))
    const stored = order.map(a => (longer[a] ? (shape[a] as number) + 2 : shape[a]))
    const name = `in${Object.keys(inputs).length}`
    const count = stored.reduce<number>((t, d) => t * size(d), 1)
    inputs[name] = dtype === 'f32' ? Float32Array.from({ length: count }, of) : Int32Array.from({ length: count }, of)
    const back = shape.map((_, a) => order.indexOf(a))
    const whole = input(name, dtype, stored).permute(...back)
    return shape.reduce<Tensor>((t, d, a) => (longer[a] ? t.slice(a, 1, 1 + (d as number)) : t), whole)
  }
  const shape = Array.from({ length: 1 + r.below(4) }, dim)
  return { out: build(r, shape, view), lengths, inputs }
}

function build(
  r: Source,
  shape: readonly Dim[],
  view: (shape: readonly Dim[], dtype?: 'f32' | 'i32', of?: () => number) => Tensor,
): Tensor {
  const stored = (t: Tensor): Tensor => (r.next() < 0.3 ? copyOf(t, r.pick(['f16', 'bf16'] as const)) : t)
  switch (r.below(5)) {
    case 0: {
      const narrow = shape.map(d => (r.next() < 0.3 ? 1 : d)) // broadcast
      const [a, b] = [stored(view(shape)), view(narrow)]
      const at = variable(`i${r.below(shape.length)}`, 'i32')
      const dtype: Storage = r.pick(['f32', 'i32', 'bool', 'f16', 'u8'])
      if (dtype === 'bool') return mapWith((x, y) => x.lt(y).or(at.eq(1)), [a, b], { dtype })
      if (dtype === 'i32' || dtype === 'u8') return mapWith((x, y) => x.mul(y).abs().floor().i32().add(at), [a, b], { dtype })
      return mapWith((x, y) => x.mul(0.5).add(y).sub(at.f32()), [a, b], { dtype })
    }
    case 1:
      return copyOf(stored(view(shape)), r.pick(['f32', 'f16', 'i32', 'bool'] as const))
    case 2:
      return reduceTo(stored(view(shape)), r.pick(['sum', 'max', 'min'] as const), r.below(shape.length), r.next() < 0.5)
    case 3: {
      const rows = 3 + r.below(4)
      const index = view(shape.slice(0, 2), 'i32', () => r.below(rows + 1) - 1)
      return gatherRows(stored(view([rows, ...shape.slice(2)])), index)
    }
    default: {
      const [m, k, n] = [shape[0], shape.at(-1)!, 3]
      return matmulOf(stored(view([...shape.slice(1, -1), m, k])), view(r.next() < 0.5 ? [k, n] : [...shape.slice(1, -1), k, n]))
    }
  }
}

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  afterAll(async () => (await opened)?.close())

  it('walks any views with lengths anywhere as the reference does', async () => {
    const device = poisoned(await opened!)
    for (let seed = 1; seed <= 60; seed++) {
      const { out, lengths, inputs } = caseOf(seed)
      const shown = mapExpr(variable('x0', out.dtype === 'bool' ? 'bool' : 'f32'), [out], { dtype: out.dtype === 'bool' ? 'bool' : 'f32' })
      for (const t of [out, shown]) {
        const want = (await runOn(reference(), { t }, lengths, inputs)).t
        const got = (await runOn(device, { t }, lengths, inputs)).t
        const what = `seed ${seed}: ${out.node.op!.name}`
        expect(got.shape, what).toEqual(want.shape)
        want.data.forEach((x, i) => {
          if (!(Math.abs(got.data[i] - x) <= 1e-5 * Math.max(1, Math.abs(x)))) expect(got.data[i], `${what}, element ${i}`).toBe(x)
        })
      }
    }
  })
})
