import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { derivative, evaluate, fixed, table, tableReads, variable } from '../src/index.ts'
import { environment, expressions } from './arbitrary.ts'

const x = variable('x')
const i = variable('i', 'i32')

describe('derivative', () => {
  it('equals central differences where the function is smooth', () => {
    let compared = 0
    fc.assert(
      fc.property(expressions.f32, environment, (e, random) => {
        const env = { ...random, x: Math.round(random.x * 64) / 64 + 0.0073205 } // away from the kinks at round numbers
        const at = (d: number) => evaluate(e, { ...env, x: env.x + d })
        const slope = (d: number) => evaluate(derivative(e, x), { ...env, x: env.x + d })
        const difference = (d: number) => (at(d) - at(-d)) / (2 * d)
        const size = Math.max(1, Math.abs(difference(1e-4)), Math.abs(at(0)))
        if (Math.abs(difference(2e-4) - difference(1e-4)) > 1e-5 * size) return // a jump, a kink or a steep place
        compared++
        expect(Math.abs(slope(0) - difference(1e-4))).toBeLessThan(1e-4 * size + Math.abs(slope(1e-4) - slope(-1e-4)))
      }),
      { numRuns: 2000 },
    )
    expect(compared).toBeGreaterThan(1500)
  })
  it.each([
    ['exp', 0.3],
    ['log', 0.3],
    ['tanh', 0.3],
    ['sin', 0.3],
    ['cos', 0.3],
    ['sqrt', 0.3],
    ['rsqrt', 0.3],
    ['sigmoid', 0.3],
    ['erf', 0.3],
    ['abs', -0.3],
    ['neg', 2],
  ] as const)('%s', (op, at) => {
    const e = x[op]()
    const slope = (evaluate(e, { x: at + 1e-6 }) - evaluate(e, { x: at - 1e-6 })) / 2e-6
    expect(evaluate(derivative(e, x), { x: at })).toBeCloseTo(slope, 6)
  })
  it('of pow in both operands', () => {
    const e = x.pow(x.add(1))
    const slope = (evaluate(e, { x: 1.7 + 1e-6 }) - evaluate(e, { x: 1.7 - 1e-6 })) / 2e-6
    expect(evaluate(derivative(e, x), { x: 1.7 })).toBeCloseTo(slope, 6)
    expect(evaluate(derivative(x.pow(2), x), { x: -3 })).toBe(-6)
  })
  it('with respect to one read of a table', () => {
    const t = table([2, 5], { dtype: 'f32', rank: 1 })
    const e = x.mul(t.at(i)).add(t.at(i).mul(t.at(fixed(0))))
    const [first, second] = tableReads(e)
    expect(evaluate(derivative(e, first), { x: 7, i: 1 })).toBe(9)
    expect(evaluate(derivative(e, second), { x: 7, i: 1 })).toBe(5)
    expect(second.args[0].value).toBe(0)
  })
  it('of kinks, constants and integers', () => {
    expect(evaluate(derivative(x.max(0), x), { x: 0 })).toBe(0)
    expect(evaluate(derivative(x.abs(), x), { x: 0 })).toBe(0)
    expect(derivative(x.floor().add(3).add(i), x)).toMatchObject({ op: 'const', value: 0 })
    expect(() => derivative(x, i)).toThrow(/f32 variable/)
    expect(() => derivative(x.lt(1), x)).toThrow(/f32/)
  })
})
