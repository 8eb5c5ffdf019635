import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assertNonNegative,
  type Bounds,
  classify,
  type Expr,
  evaluate,
  h,
  horizon,
  k,
  OPS,
  q,
  range,
  s,
  table,
  variable,
} from '../src/index.ts'
import { anyExpr, expressions, T1, T2 } from './arbitrary.ts'

const x = variable('x')
const i = variable('i', 'i32')

const box = fc.record({
  x: fc.tuple(fc.double({ min: -4, max: 4, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true })),
  y: fc.tuple(fc.double({ min: -4, max: 4, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true })),
  i: fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 0, max: 5 })),
  j: fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 0, max: 5 })),
})
const points = fc.array(
  fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(5), fc.nat(5)),
  { minLength: 5, maxLength: 12 },
)
const minmax = (t: { operand: unknown }) => {
  const list = t.operand as number[]
  return [Math.min(...list), Math.max(...list)] as const
}

/** What a kernel computes: every f32 op rounded, every index clamped. */
function evaluateF32(root: Expr, env: Record<string, number>): number {
  const visit = (e: Expr): number => {
    const args = e.args.map(visit)
    if (e.op === 'at') return (e.table!.operand as number[])[args[0]]
    const exact = e.op === 'const' ? e.value! : e.op === 'var' ? env[e.name!] : OPS[e.op].meaning(args[0], args[1], args[2])
    return e.type === 'f32' ? Math.fround(exact) : exact
  }
  return visit(root)
}

describe('range', () => {
  it('holds in f32', () => {
    const f32 = fc.float({ min: -4, max: 4, noNaN: true })
    const pair = fc.tuple(f32, f32).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
    const ends = fc.array(
      fc.record({ x: fc.nat(1), y: fc.nat(1), i: fc.integer({ min: -9, max: 9 }), j: fc.integer({ min: -9, max: 9 }) }),
      { minLength: 3 },
    )
    fc.assert(
      fc.property(anyExpr, pair, pair, ends, (e, px, py, envs) => {
        const known = range(e, { variables: { x: px, y: py, i: [-9, 9], j: [-9, 9] }, tables: minmax })
        for (const env of envs) {
          const value = evaluateF32(e, { ...env, x: px[env.x], y: py[env.y] })
          if (!(value >= known.lo && value <= known.hi) && !(Number.isNaN(value) && known.nan))
            throw new Error(`${value} is outside [${known.lo}, ${known.hi}]`)
        }
      }),
      { numRuns: 1500 },
    )
  })
  it('holds at every point', () => {
    fc.assert(
      fc.property(anyExpr, box, points, fc.boolean(), (e, b, ps, knowsTables) => {
        const variables = Object.fromEntries(Object.entries(b).map(([n, [lo, size]]) => [n, [lo, lo + size]])) as Record<
          string,
          [number, number]
        >
        const bounds: Bounds = { variables, tables: t => (knowsTables && (t === T1 || t === T2) ? minmax(t) : undefined) }
        const known = range(e, bounds)
        for (const [tx, ty, di, dj] of ps) {
          const env = {
            x: Math.min(b.x[0] + tx * b.x[1], variables.x[1]),
            y: Math.min(b.y[0] + ty * b.y[1], variables.y[1]),
            i: b.i[0] + Math.min(di, b.i[1]),
            j: b.j[0] + Math.min(dj, b.j[1]),
          }
          const value = evaluate(e, env)
          if (Number.isNaN(value)) expect(known.nan).toBe(true)
          else if (!(value >= known.lo && value <= known.hi))
            throw new Error(`${value} at ${JSON.stringify(env)} is outside [${known.lo}, ${known.hi}]`)
          if (known.int) expect(Number.isInteger(value)).toBe(true)
        }
      }),
      { numRuns: 3000 },
    )
  })
  it('holds for unbounded variables', () => {
    fc.assert(
      fc.property(expressions.i32, fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 }), (e, vi, vj) => {
        const known = range(e)
        const value = evaluate(e, { x: 1, y: 2, i: vi, j: vj })
        expect(value >= known.lo && value <= known.hi).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })
  it('keeps correlations', () => {
    const bounds = { variables: { i: [0, 100], x: [0, 1] } } as const
    expect(range(i.sub(i), bounds)).toMatchObject({ lo: 0, hi: 0 })
    expect(range(i.mul(3).add(5).sub(i.mul(2)), bounds)).toMatchObject({ lo: 5, hi: 105 })
    expect(range(i.sub(3).mul(i.sub(3)), bounds)).toMatchObject({ lo: 0 })
    expect(range(i.max(0).add(1).sub(i), bounds)).toMatchObject({ lo: 1, hi: 1 })
    expect(range(i.mod(1000).sub(i), bounds)).toMatchObject({ lo: 0, hi: 0 })
    const wide = range(x.mul(0.1).add(x.mul(0.2)).sub(x.mul(0.3)), bounds)
    expect(wide.lo).toBeLessThan(0)
    expect(wide.hi).toBeLessThan(1e-6)
  })
  it('widens what is not known', () => {
    expect(range(x.div(x), { variables: { x: [-1, 1] } })).toMatchObject({ lo: -Infinity, hi: Infinity, nan: true })
    expect(range(x.log(), { variables: { x: [-1, 1] } })).toMatchObject({ nan: true })
    expect(range(i.idiv(2), { variables: { i: [-1, 4] } })).toMatchObject({ lo: -Infinity })
    const { lo, hi } = range(x.exp(), { variables: { x: [0, 1] } })
    expect(lo < 1 && lo > 0.9999 && hi > Math.E && hi < 2.7184).toBe(true)
    expect(range(x)).toMatchObject({ nan: true })
  })
  it('proves operands of idiv and mod', () => {
    assertNonNegative(q.row.idiv(64).eq(k.row.idiv(64)))
    assertNonNegative(q.row.sub(k.row).max(0).mod(2).eq(0))
    expect(() => assertNonNegative(q.row.sub(k.row).mod(2).eq(0))).toThrow('mod needs a non-negative by a positive integer')
    expect(() => assertNonNegative(i.idiv(q.row))).toThrow(/by \[0,/)
  })
})

const distance = q.row.sub(k.row)
const causal = k.row.le(q.row)
const documents = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7]
const doc = table(documents, { dtype: 'i32', rank: 1, name: 'document' })
const windows = table([4, 9], { dtype: 'i32', rank: 1, name: 'windows' })
const N = documents.length

/** name, mask, horizon */
const MASKS: [string, Expr, { window: number; pinned: number }][] = [
  ['causal', causal, { window: Infinity, pinned: 0 }],
  ['window', causal.and(distance.lt(5)), { window: 5, pinned: 0 }],
  ['window, written as f32', causal.and(distance.f32().le(4.5)), { window: 5, pinned: 0 }],
  ['sinks and window', causal.and(distance.lt(6).or(k.row.lt(4))), { window: 6, pinned: 4 }],
  ['chunked', causal.and(q.row.idiv(7).eq(k.row.idiv(7))), { window: 7, pinned: 0 }],
  ['chunk and the one before', causal.and(q.row.idiv(5).sub(k.row.idiv(5)).le(1)), { window: 10, pinned: 0 }],
  ['prefix', causal.or(k.row.lt(8)), { window: Infinity, pinned: 0 }],
  ['prefix and window', causal.and(distance.lt(4)).or(k.row.lt(9)), { window: 4, pinned: 9 }],
  ['document', causal.and(doc.at(q.row).eq(doc.at(k.row))), { window: Infinity, pinned: 0 }],
  ['document and window', causal.and(doc.at(q.row).eq(doc.at(k.row))).and(distance.lt(9)), { window: 9, pinned: 0 }],
  ['dilated', causal.and(distance.max(0).mod(3).eq(0)).and(distance.lt(12)), { window: 10, pinned: 0 }],
  ['strided and local', causal.and(distance.lt(4).or(k.row.mod(8).eq(7))), { window: Infinity, pinned: 0 }],
  ['window per head', causal.and(distance.lt(windows.at(h))), { window: 9, pinned: 0 }],
  ['nothing', causal.and(false), { window: 0, pinned: 0 }],
  ['self only', distance.eq(0), { window: 1, pinned: 0 }],
  ['bidirectional window', distance.abs().le(3), { window: 4, pinned: 0 }],
  ['squared distance', distance.mul(distance).lt(26), { window: 6, pinned: 0 }],
]
const seen = (mask: Expr, qr: number, kr: number, head = 0) => evaluate(mask, { 'q.row': qr, 'k.row': kr, h: head }) === 1
const tables: Bounds['tables'] = (t, [index]) => {
  const list = (t.operand as number[]).slice(Math.max(index.lo, 0), index.hi + 1)
  return [Math.min(...list), Math.max(...list)]
}

describe.each(MASKS)('%s', (_, mask, expected) => {
  const tile = (q0: number, q1: number, k0: number, k1: number) =>
    classify(mask, { variables: { 'q.row': [q0, q1], 'k.row': [k0, k1], h: [1, 1] }, tables })
  const truth = (q0: number, q1: number, k0: number, k1: number) => {
    let count = 0
    for (let a = q0; a <= q1; a++) for (let b = k0; b <= k1; b++) count += Number(seen(mask, a, b, 1))
    return count === 0 ? 'none' : count === (q1 - q0 + 1) * (k1 - k0 + 1) ? 'all' : 'some'
  }
  it('classifies soundly', () => {
    const edge = fc.tuple(fc.nat(N - 1), fc.nat(6))
    fc.assert(
      fc.property(edge, edge, ([q0, qn], [k0, kn]) => {
        const box = [q0, Math.min(N - 1, q0 + qn), k0, Math.min(N - 1, k0 + kn)] as const
        const answer = tile(...box)
        if (answer !== 'some') expect(answer).toBe(truth(...box))
      }),
      { numRuns: 300 },
    )
  })
  it('finds the horizon', () => {
    const found = horizon(mask, { tables: t => (t === windows ? [4, 9] : undefined) })
    expect(found).toEqual(expected)
    for (let a = 0; a < N; a++)
      for (let b = 0; b <= a; b++) if (seen(mask, a, b, 1)) expect(a - b < found.window || b < found.pinned).toBe(true)
  })
})

describe('tile classes', () => {
  it.each(['causal', 'window', 'sinks and window', 'prefix', 'chunked', 'document', 'bidirectional window'])('of %s are tight', name => {
    const mask = MASKS.find(m => m[0] === name)![1]
    let wrong = 0
    for (let q0 = 0; q0 < N; q0 += 4) {
      for (let k0 = 0; k0 < N; k0 += 4) {
        const answer = classify(mask, { variables: { 'q.row': [q0, q0 + 3], 'k.row': [k0, k0 + 3] }, tables })
        let count = 0
        for (let a = 0; a < 4; a++) for (let b = 0; b < 4; b++) count += Number(seen(mask, q0 + a, k0 + b))
        if (answer !== (count === 0 ? 'none' : count === 16 ? 'all' : 'some')) wrong++
      }
    }
    expect(wrong).toBe(0)
  })
  it('refuse a mask that mentions the score', () => {
    expect(() => classify(causal.and(s.gt(0)), {})).toThrow(/may not mention the score/)
    expect(() => horizon(s.gt(0))).toThrow(/may not mention the score/)
    expect(() => classify(s, {})).toThrow(/a mask is a bool/)
  })
})
