import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileMap, type Expr, evaluate, js, prelude, print, printBlock, runMap, signature, simplify } from '../src/index.ts'
import { anyExpr, environment, NAMES, T1, T2 } from './arbitrary.ts'

const runs = { numRuns: 1500 }
/** Equal up to the sign of zero; printed text and folded numbers may round differently in Math.pow. */
const near = (a: number, b: number): boolean => Object.is(a + 0, b + 0) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b))

const runText = (e: Expr, env: Record<string, number>, statements: string[], text: string): number => {
  const body = `${prelude([e], js)}\n${statements.join('\n')}\nreturn Number(${text})`
  return new Function(...NAMES, 'bias', 'ids', body)(...NAMES.map(n => env[n]), T1.operand, T2.operand)
}

describe('all readings of an expression agree', () => {
  it('simplify keeps the value and the sharing of code', () => {
    fc.assert(
      fc.property(anyExpr, environment, (e, env) => near(evaluate(simplify(e), env), evaluate(e, env)) && simplify(e).type === e.type),
      runs,
    )
  })
  it('simplify is a fixed point', () => {
    fc.assert(
      fc.property(anyExpr, e => {
        const once = simplify(e)
        expect(simplify(once)).toBe(once)
      }),
      runs,
    )
  })
  it('bytecode', () => {
    fc.assert(
      fc.property(anyExpr, fc.array(environment, { minLength: 1, maxLength: 3 }), (e, envs) => {
        const program = compileMap(e, NAMES)
        const lanes = NAMES.map(n => envs.map(env => env[n as 'x']))
        expect([...runMap(program, lanes, envs.length)].map(v => v + 0)).toEqual(envs.map(env => evaluate(e, env) + 0))
      }),
      runs,
    )
  })
  it('printed JavaScript', () => {
    fc.assert(
      fc.property(anyExpr, environment, (e, env) => near(runText(e, env, [], print(e, js)), evaluate(e, env))),
      runs,
    )
  })
  it('printed JavaScript with locals', () => {
    fc.assert(
      fc.property(anyExpr, environment, (e, env) => {
        const { statements, text } = printBlock(e, js)
        return near(runText(e, env, statements, text), evaluate(e, env))
      }),
      runs,
    )
  })
  it('signature decides the code', () => {
    fc.assert(
      fc.property(anyExpr, anyExpr, (a, b) => {
        const [p, q] = [a, b].map(e => compileMap(e, NAMES))
        if (signature(a) === signature(b)) expect(p.code).toEqual(q.code)
      }),
      runs,
    )
  })
})
