import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyOf, type Dim, input, type Length, length, readAll, reference, type Tensor } from './index.ts'

/** What a view should hold: extents of this run, and the number at an index. */
interface Plain {
  readonly sizes: readonly number[]
  readonly at: (index: readonly number[]) => number
}
interface Pair {
  readonly view: Tensor
  readonly plain: Plain
}
/** A view operation chosen by numbers in [0, 1); undefined where it does not apply. */
type Move = (p: Pair, pick: readonly number[]) => Pair | undefined

const moves: Readonly<Record<string, Move>> = {
  permute({ view, plain }, pick) {
    const order = view.shape.map((_, i) => i).sort((a, b) => pick[a] - pick[b])
    return {
      view: view.permute(...order),
      plain: {
        sizes: order.map(a => plain.sizes[a]),
        at: index => {
          const old = new Array<number>(order.length)
          order.forEach((a, i) => (old[a] = index[i]))
          return plain.at(old)
        },
      },
    }
  },
  slice({ view, plain }, pick) {
    const axis = below(pick[0], view.rank)
    const size = view.shape[axis]
    if (typeof size !== 'number') return undefined
    const start = below(pick[1], size + 1)
    const end = start + below(pick[2], size - start + 1)
    return {
      view: view.slice(axis, start, end),
      plain: {
        sizes: replaced(plain.sizes, axis, end - start),
        at: index => plain.at(replaced(index, axis, index[axis] + start)),
      },
    }
  },
  unsqueeze({ view, plain }, pick) {
    if (view.rank > 4) return undefined
    const axis = below(pick[0], view.rank + 1)
    return {
      view: view.unsqueeze(axis),
      plain: {
        sizes: [...plain.sizes.slice(0, axis), 1, ...plain.sizes.slice(axis)],
        at: index => plain.at([...index.slice(0, axis), ...index.slice(axis + 1)]),
      },
    }
  },
  squeeze({ view, plain }) {
    const axis = view.shape.indexOf(1)
    if (axis < 0) return undefined
    return {
      view: view.squeeze(axis),
      plain: {
        sizes: plain.sizes.filter((_, i) => i !== axis),
        at: index => plain.at([...index.slice(0, axis), 0, ...index.slice(axis)]),
      },
    }
  },
  expand({ view, plain }, pick) {
    const axis = view.shape.indexOf(1)
    if (axis < 0) return undefined
    const size = 1 + below(pick[0], 3)
    return {
      view: view.expand(replaced<Dim>(view.shape, axis, size)),
      plain: { sizes: replaced(plain.sizes, axis, size), at: index => plain.at(replaced(index, axis, 0)) },
    }
  },
  merge({ view, plain }, pick) {
    const axis = below(pick[0], Math.max(1, view.rank - 1))
    const [a, b] = [view.shape[axis], view.shape[axis + 1]]
    if (typeof a !== 'number' || typeof b !== 'number') return undefined
    const made = reshaped(view, [...view.shape.slice(0, axis), a * b, ...view.shape.slice(axis + 2)])
    return (
      made && {
        view: made,
        plain: {
          sizes: [...plain.sizes.slice(0, axis), a * b, ...plain.sizes.slice(axis + 2)],
          at: index => plain.at([...index.slice(0, axis), Math.floor(index[axis] / b), index[axis] % b, ...index.slice(axis + 1)]),
        },
      }
    )
  },
  split({ view, plain }, pick) {
    const axis = below(pick[0], view.rank)
    const size = view.shape[axis]
    if (typeof size !== 'number' || size < 4 || size % 2 > 0) return undefined
    const made = reshaped(view, [...view.shape.slice(0, axis), size / 2, 2, ...view.shape.slice(axis + 1)])
    return (
      made && {
        view: made,
        plain: {
          sizes: [...plain.sizes.slice(0, axis), size / 2, 2, ...plain.sizes.slice(axis + 1)],
          at: index => plain.at([...index.slice(0, axis), index[axis] * 2 + index[axis + 1], ...index.slice(axis + 2)]),
        },
      }
    )
  },
}

const below = (x: number, n: number): number => Math.min(Math.floor(x * n), Math.max(0, n - 1))
const replaced = <T>(list: readonly T[], at: number, x: T): T[] => list.map((y, i) => (i === at ? x : y))

/** Undefined where a copy is needed first, which a dense view never needs. */
function reshaped(view: Tensor, shape: readonly Dim[]): Tensor | undefined {
  try {
    return view.reshape(shape)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_SHAPE' })
    expect(view.contiguous).toBe(false)
    return undefined
  }
}

const some = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 5, maxLength: 5 })
const axis = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 3, 4, 6) },
  { weight: 1, arbitrary: fc.record({ max: fc.integer({ min: 1, max: 4 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
)

describe('views', () => {
  it('show the same numbers as index arithmetic, with Lengths on any axis', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(axis, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.constantFrom(...Object.keys(moves)), some), { maxLength: 7 }),
        async (axes, steps) => {
          const lengths: Record<string, number> = {}
          const shape = axes.map((a, i): number | Length => {
            if (typeof a === 'number') return a
            lengths[`n${i}`] = Math.round(a.share * a.max)
            return length(`n${i}`, a.max)
          })
          const sizes = shape.map(d => (typeof d === 'number' ? d : lengths[d.name]))
          let pair: Pair = {
            view: input('x', 'f32', shape),
            plain: { sizes, at: index => index.reduce((n, i, a) => n * sizes[a] + i, 0) },
          }
          for (const [name, pick] of steps) pair = moves[name](pair, pick) ?? pair
          const { view, plain } = pair
          const want = numbers(plain)
          const x = Float32Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, (_, i) => i)
          const got = await readAll({ view, copy: copyOf(view) }, reference(), { lengths, inputs: { x } })
          for (const { shape, data } of [got.view, got.copy]) {
            expect(shape).toEqual(plain.sizes)
            expect([...data]).toEqual(want)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

function numbers({ sizes, at }: Plain): number[] {
  const total = sizes.reduce((a, b) => a * b, 1)
  return Array.from({ length: total }, (_, n) => {
    const index = new Array<number>(sizes.length)
    let rest = n
    for (let a = sizes.length - 1; a >= 0; a--) {
      index[a] = rest % sizes[a]
      rest = Math.floor(rest / sizes[a])
    }
    return at(index)
  })
}
