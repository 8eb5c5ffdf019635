import { describe, expect, it } from 'vitest'
import {
  chain,
  constant,
  cuda,
  type Dialect,
  derivative,
  fixed,
  h,
  js,
  k,
  prelude,
  print,
  printBlock,
  q,
  s,
  table,
  variable,
  wgsl,
} from '../src/index.ts'

const x = variable('x')
const i = variable('i', 'i32')
const slopes = table('slopes', { dtype: 'f32', rank: 1, name: 'slopes' })
const bias = table('bias', { dtype: 'f32', rank: 2 })
const alibi = s.sub(slopes.at(h).mul(q.row.sub(k.row)))
const softcap = s.div(30).tanh().mul(30)
const t5 = s.add(bias.at(h, q.position.sub(k.position).max(0).min(127)))
const mask = k.row.le(q.row).and(q.row.sub(k.row).lt(1024).or(k.row.lt(4)))

describe('print', () => {
  it('ALiBi, soft-cap and T5 in one score', () => {
    const score = chain(alibi, softcap, t5)
    expect(print(score, wgsl)).toMatchInlineSnapshot(
      `"tanh(clamp((s - slopes[h] * f32(q_row - k_row)) / 30.0f, -15.0f, 15.0f)) * 30.0f + t1[h][min(max(q_position - k_position, 0i), 127i)]"`,
    )
    expect(print(score, cuda)).toMatchInlineSnapshot(
      `"tanhf((s - slopes[h] * (float)(q_row - k_row)) / 30.0f) * 30.0f + t1[h][min(max(q_position - k_position, 0), 127)]"`,
    )
  })
  it('sinks and window', () => {
    expect(print(mask, wgsl)).toMatchInlineSnapshot(`"k_row <= q_row && (q_row - k_row < 1024i || k_row < 4i)"`)
    expect(print(mask, cuda)).toMatchInlineSnapshot(`"k_row <= q_row && (q_row - k_row < 1024 || k_row < 4)"`)
  })
  it('as a kernel binds it: uniforms, packed and clamped tables', () => {
    const bound: Dialect = {
      ...wgsl,
      variable: name => name.replace('.', '_'),
      uniform: (slot, type) => (type === 'f32' ? `u.f[${slot}]` : `u.i[${slot}]`),
      index: (_, slot, indices) => `f32_tables[u.offset[${slot}] + clamp(${indices[0]}, 0, u.size[${slot}] - 1)]`,
    }
    expect(print(chain(alibi, softcap), bound)).toMatchInlineSnapshot(
      `"tanh(clamp((s - f32_tables[u.offset[0] + clamp(h, 0, u.size[0] - 1)] * f32(q_row - k_row)) / u.f[0], -15.0f, 15.0f)) * u.f[1]"`,
    )
  })
  it('names shared parts', () => {
    const { statements, text } = printBlock(derivative(x.sigmoid().mul(x), x), wgsl)
    expect([...statements, text]).toMatchInlineSnapshot(`
      [
        "let e0: f32 = (1.0f / (1.0f + exp(-clamp(x, -80.0f, 80.0f))));",
        "e0 * (1.0f - e0) * x + e0",
      ]
    `)
  })
  it('parenthesises', () => {
    expect(print(x.sub(x.sub(x)), js)).toBe('x - (x - x)')
    expect(print(x.add(x.add(x)), js)).toBe('x + (x + x)')
    expect(print(i.add(i.add(i)), js)).toBe('i + i + i')
    expect(print(i.mul(i.add(1)).neg(), js)).toBe('-(i * (i + 1))')
    expect(print(x.sub(-1).neg().neg(), js)).toBe('-(-(x - (-1)))')
    expect(print(i.sub(i.mul(i)).mod(4), js)).toBe('(i - i * i) % 4')
    expect(print(x.lt(1).eq(i.gt(2)), cuda)).toBe('(int)(x < 1.0f) == (int)(i > 2)')
    expect(print(x.lt(1).and(i.gt(2)).or(i.eq(0)).not(), wgsl)).toBe('!((x < 1.0f && i > 2i) || i == 0i)')
    expect(print(i.lt(1).select(i.gt(2), i.le(3)).select(x, 1), wgsl)).toBe('select(1.0f, x, select((i <= 3i), (i > 2i), (i < 1i)))')
  })
  it('writes literals that f32 holds', () => {
    expect(print(fixed(0.1), wgsl)).toBe('0.10000000149011612f')
    expect(print(constant(1e-7), cuda)).toBe(`${Math.fround(1e-7)}f`)
    expect(print(constant(1e30, 'f32'), wgsl)).toBe(`${Math.fround(1e30)}f`)
    expect(print(constant(-3.4e38, 'f32'), wgsl)).toMatch(/^-3\.39999995\d*e\+38f$/)
    expect(print(constant(true), js)).toBe('true')
  })
  it('brings the helpers it calls, once', () => {
    expect(prelude([x.erf(), x.erf().add(1)], wgsl).match(/fn attune_erf/g)).toHaveLength(1)
    expect(prelude([x.exp()], wgsl)).toBe('')
  })
  it('WGSL erf is within 5e-7 of erf', async () => {
    const { erf } = await import('../src/erf.ts')
    const p = (a: number, t = 1 / (1 + 0.3275911 * a)) =>
      t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    for (let a = 0; a < 5; a += 0.01) expect(Math.abs(1 - p(a) * Math.exp(-a * a) - erf(a))).toBeLessThan(5e-7)
  })
})
