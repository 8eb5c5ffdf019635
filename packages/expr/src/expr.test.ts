import { describe, expect, it } from 'vitest'
import {
  chain,
  compileJs,
  constant,
  evaluate,
  fixed,
  h,
  k,
  q,
  s,
  signature,
  substitute,
  table,
  tables,
  uniforms,
  variable,
} from './index.ts'

const x = variable('x')
const i = variable('i', 'i32')

describe('types', () => {
  it('follow the operands', () => {
    expect(i.add(1).type).toBe('i32')
    expect(i.add(0.5).type).toBe('f32')
    expect(i.add(x).type).toBe('f32')
    expect(x.add(1).args[1].type).toBe('f32')
    expect(i.div(2).type).toBe('f32')
    expect(i.exp().type).toBe('f32')
    expect(i.floor()).toBe(i)
    expect(i.lt(3).type).toBe('bool')
    expect(i.lt(3).select(1, 2).type).toBe('i32')
    expect(i.lt(3).select(1, x).type).toBe('f32')
    expect(i.lt(3).eq(true).type).toBe('bool')
  })
  it('refuse what has no meaning', () => {
    expect(() => x.idiv(2)).toThrow(/idiv wants i32, got \(f32, i32\)/)
    expect(() => x.and(true)).toThrow(/and wants bool/)
    expect(() => x.lt(1).add(1)).toThrow(/add wants numbers/)
    expect(() => x.lt(1).select(true, 1)).toThrow(/branches of one kind/)
    expect(() => constant(Number.POSITIVE_INFINITY)).toThrow(/finite/)
    expect(() => table([1], { dtype: 'f32', rank: 1 }).at(x)).toThrow(/1 i32 indices/)
    expect(() => substitute(i.add(1), { i: x })).toThrow(/cannot replace i: i32 by f32/)
  })
})

describe('evaluate', () => {
  it('computes', () => {
    expect(evaluate(i.mul(3).sub(1).mod(4), { i: 5 })).toBe(2)
    expect(evaluate(i.idiv(3), { i: 11 })).toBe(3)
    expect(evaluate(x.abs().sqrt().neg(), { x: -9 })).toBe(-3)
    expect(evaluate(x.gt(2).or(i.eq(0)), { x: 1, i: 0 })).toBe(1)
    expect(evaluate(x.i32(), { x: -2.7 })).toBe(-2)
    expect(evaluate(x.erf(), { x: 0.5 })).toBeCloseTo(0.5204998778130465, 15)
    expect(evaluate(x.erf(), { x: -3 })).toBeCloseTo(-0.9999779095030014, 15)
  })
  it('reads tables and throws out of range', () => {
    const t = table([5, 6, 7], { dtype: 'f32', rank: 1, name: 'bias' })
    const m = table({ data: [0, 1, 2, 3, 4, 5], shape: [2, 3] }, { dtype: 'i32', rank: 2 })
    expect(evaluate(t.at(i).add(m.at(1, i)), { i: 2 })).toBe(12)
    expect(() => evaluate(t.at(i), { i: 3 })).toThrow('bias[3] is out of range')
    expect(() => evaluate(m.at(1, i), { i: 3 })).toThrow('out of range')
    expect(evaluate(i.lt(3).select(t.at(i), 0), { i: 3 })).toBe(0)
    expect(evaluate(t.at(i), { i: 9 }, (_, [n]) => n * 2)).toBe(18)
  })
  it('refuses negative idiv, mod and unbound variables', () => {
    expect(() => evaluate(i.idiv(2), { i: -1 })).toThrow(/non-negative/)
    expect(() => evaluate(i.mod(0), { i: 1 })).toThrow(/non-negative/)
    expect(() => compileJs(x, ['y'])).toThrow(/x is not bound/)
  })
  it('computes a shared node once per call', () => {
    let reads = 0
    const t = table(0, { dtype: 'f32', rank: 1 }).at(i)
    let e = t
    for (let n = 0; n < 40; n++) e = e.add(e)
    const f = compileJs(e, ['i'], () => ++reads)
    expect(f([0])).toBe(2 ** 40)
    expect(f([0])).toBe(2 ** 41)
    expect(reads).toBe(2)
  })
})

describe('an Expr is code plus inputs', () => {
  const alibi = (slopes: number[], cap: number) => {
    const t = table(slopes, { dtype: 'f32', rank: 1 })
    return s
      .add(t.at(h).mul(k.row.sub(q.row)))
      .div(cap)
      .tanh()
      .mul(cap)
  }
  it('shares the signature for other numbers and tables', () => {
    expect(signature(alibi([1, 2], 30))).toBe(signature(alibi([3], 50)))
    expect(signature(x.add(fixed(1)))).not.toBe(signature(x.add(fixed(2))))
    expect(signature(x.add(1))).not.toBe(signature(x.add(fixed(1))))
    const t = table([1], { dtype: 'f32', rank: 1 })
    const u = table([1], { dtype: 'f32', rank: 1 })
    expect(signature(t.at(0).add(t.at(1)))).not.toBe(signature(t.at(0).add(u.at(1))))
  })
  it('lists tables and uniforms', () => {
    const e = alibi([1, 2], 30)
    expect(tables(e).map(t => t.operand)).toEqual([[1, 2]])
    expect(uniforms(e).map(u => u.value)).toEqual([30, 30])
  })
  it('chains scores in order', () => {
    const e = chain(s.add(1), s.mul(2), undefined)
    expect(evaluate(e, { s: 3 })).toBe(8)
    expect(chain(undefined)).toBeUndefined()
  })
})
