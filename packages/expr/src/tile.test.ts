import { describe, expect, it } from 'vitest'
import {
  b,
  chain,
  compileTile,
  constant,
  type Expr,
  evaluate,
  fixed,
  h,
  k,
  kv,
  OPS,
  type OpName,
  q,
  s,
  TILE_HEADER,
  TILE_INSTRUCTION,
  TILE_OPS,
  TILE_SHAPES,
  type TileProgram,
  table,
  tables,
} from './index.ts'

const slopes = table([0.5, 0.25, 0.125, 0.0625], { dtype: 'f32', rank: 1 })
const documents = table(
  Array.from({ length: 64 }, (_, i) => (i / 7) | 0),
  { dtype: 'i32', rank: 1 },
)
const biases = table(
  Array.from({ length: 4 }, (_, i) => Array.from({ length: 16 }, (_, j) => Math.sin(i + j))),
  { dtype: 'f32', rank: 2 },
)
const d = q.row.sub(k.row)
const alibi = s.add(k.row.sub(q.row).f32().mul(slopes.at(h)))
const softcap = s.div(30).tanh().mul(30)
const causal = k.row.le(q.row)
const window = causal.and(d.lt(9))

const SCORES: Record<string, Expr> = {
  alibi,
  softcap,
  chained: chain(alibi, softcap),
  distanceBias: s.add(biases.at(h, d.max(0).min(15))),
  scaled: s.mul(q.row.add(1).f32().log()),
  powers: s.mul(constant(2).f32().pow(h.f32().neg())).add(k.position.sub(q.position).abs().f32().rsqrt().min(4)),
  replaced: k.row.f32(),
  unchanged: s,
  chosen: causal.select(s, s.sub(d.f32().sigmoid())),
}
const MASKS: Record<string, Expr> = {
  causal,
  window,
  sinks: causal.and(d.lt(9).or(k.row.lt(4))),
  document: causal.and(documents.at(q.row).eq(documents.at(k.row))),
  prefix: causal.or(k.row.lt(8)),
  chunks: causal.and(q.row.idiv(10).eq(k.row.idiv(10))),
  dilated: causal.and(d.abs().mod(3).eq(0)),
  perHead: d.le(h.mul(4)).and(kv.eq(1).not()),
  square: d.mul(d).lt(50),
  twice: q.row.mul(2).ge(k.row.mul(2).add(3)),
  real: q.row.f32().sub(k.row.f32()).gt(0.5),
  never: constant(false),
  always: constant(true),
  batch: b.eq(1).ne(causal),
}

describe('a tile program', () => {
  for (const consecutive of [true, false]) {
    for (const [name, e] of Object.entries({ ...SCORES, ...MASKS })) {
      it(`${name} means what the expression means${consecutive ? ' by distance' : ''}`, () => {
        const kind = e.type === 'bool' ? 'mask' : 'score'
        const program = compileTile(e, kind, { consecutive, tables: tables(e) })
        for (let i = 0; i < 200; i++) {
          const env = { b: i % 2, h: i % 4, kv: i % 3, 'q.row': (i * 7) % 48, 'k.row': (i * 11) % 48, s: Math.sin(i) * 20 } as Record<
            string,
            number
          >
          env['q.position'] = env['q.row'] + 3
          env['k.position'] = env['k.row'] + 3
          const expected = evaluate(e, env)
          const got = interpret(program, env)
          if (kind === 'mask') expect(got).toBe(expected ? env.s : MASKED)
          else expect(Math.abs(got - expected)).toBeLessThan(1e-4)
        }
      })
    }
  }

  it('does no work per score for masks and cheap biases', () => {
    const perScore = (e: Expr): string[] =>
      tileOps(compileTile(e, e.type === 'bool' ? 'mask' : 'score', { consecutive: true, tables: tables(e) }))
    expect(perScore(causal)).toEqual(['apply'])
    expect(perScore(window)).toEqual(['apply'])
    expect(perScore(alibi)).toEqual(['add'])
    expect(perScore(SCORES.distanceBias)).toEqual(['add'])
    expect(perScore(softcap)).toEqual(['mul', 'tanh', 'mul'])
    expect(perScore(MASKS.document)).toEqual(['eq', 'and', 'apply'])
  })

  it('refuses what kernels cannot do, by name', () => {
    expect(() => compileTile(s.sin(), 'score', { consecutive: true, tables: [] })).toThrow(/sin/)
    expect(() => compileTile(alibi, 'score', { consecutive: true, tables: [] })).toThrow(/table/)
    let long = s
    for (let i = 0; i < 120; i++) long = long.add(fixed(i + 0.5))
    expect(() => compileTile(long, 'score', { consecutive: true, tables: [] })).toThrow(/longer than/)
  })

  it('gives expressions that differ in captured numbers the same code', () => {
    const code = (cap: number): Int32Array => compileTile(s.div(cap).tanh().mul(cap), 'score', { consecutive: true, tables: [] }).code
    expect(code(30)).toEqual(code(50))
  })
})

const MASKED = -3.4e38

/** One element of the tile, instruction by instruction, over the places the code names. */
function interpret({ code, constants, tables: list }: TileProgram, env: Readonly<Record<string, number>>): number {
  const places = new Map<number, number>([[TILE_SHAPES.indexOf('score') << 16, env.s]])
  for (let i = 0; i < code[0]; i++) {
    const [op, shape, dst, a, b, c, imm] = code.subarray(TILE_HEADER + i * TILE_INSTRUCTION)
    const name = TILE_OPS[op]
    const [x, y, z] = [a, b, c].map(p => places.get(p)!)
    const read = (): number => {
      if (name === 'const') return constants[imm]
      if (name === 'distance') return env['q.row'] - env['k.row']
      if (name === 'copy') return x
      if (name === 'trunc') return Math.trunc(x)
      if (name === 'apply') return x ? y : MASKED
      if (name === 'at') {
        const index = [x, y, z].slice(0, list[imm].rank)
        return index.reduce<any>((rows, at) => rows[Math.min(Math.max(at, 0), rows.length - 1)], list[imm].operand)
      }
      return name in env ? env[name] : OPS[name as OpName].meaning(x, y, z)
    }
    if (shape < 5) places.set(dst, read())
  }
  return places.get(TILE_SHAPES.indexOf('score') << 16)!
}

const tileOps = ({ code }: TileProgram): string[] =>
  Array.from({ length: code[0] }, (_, i) => code.subarray(TILE_HEADER + i * TILE_INSTRUCTION))
    .filter(c => TILE_SHAPES[c[1]] === 'tile')
    .map(c => TILE_OPS[c[0]])
