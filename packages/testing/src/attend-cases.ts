import { type Expr, h, k, q, s, table } from '@attune/expr'
import { attendOf } from '@attune/ops'
import { q8_0, type Storage, type Tensor, tensor } from '@attune/tensor'
import type { CaseMaker, OpCase } from './op-cases.ts'

/** Attention under different masks, scores, head maps and lengths. */
export function attendCases(): OpCase[] {
  const causal = k.row.le(q.row)
  const slopes = table(
    tensor(
      Float32Array.from({ length: 6 }, (_, i) => 2 ** -(i + 1)),
      [6],
    ),
    { dtype: 'f32', rank: 1 },
  )
  const alibi = s.sub(q.position.sub(k.position).f32().mul(slopes.at(h)))
  const kinds: [string, { mask?: Expr; score?: Expr }][] = [
    ['causal', { mask: causal }],
    ['full', {}],
    ['window and sinks', { mask: causal.and(q.row.sub(k.row).lt(9).or(k.row.lt(2))) }],
    ['alibi', { mask: causal, score: alibi }],
    ['soft-cap', { mask: causal, score: s.div(5).tanh().mul(5) }],
    ['alibi, soft-cap, window', { mask: causal.and(q.row.sub(k.row).lt(13)), score: alibi.div(5).tanh().mul(5) }],
  ]
  const run = (
    m: CaseMaker,
    t: readonly number[],
    past: readonly number[],
    options: object,
    kv: Storage = 'f32',
    heads = 3,
  ): Record<string, Tensor> => {
    const count = t.reduce((a, b) => a + b, 0)
    const rows = t.flatMap((c, b) => Array.from({ length: c }, (_, i) => past[b] + i))
    const offsets = [0, ...t.map((_, b) => t.slice(0, b + 1).reduce((a, c) => a + c, 0))]
    const make = () => (kv === 'f32' ? m.floats([t.length, heads, 96, 32]) : m.stored(kv, [t.length, heads, 96, 32]))
    const r = attendOf(
      {
        q: m.floats([count, 6, 32], 2),
        k: make(),
        v: make(),
        lengths: tensor(
          t.flatMap((c, b) => new Array(heads).fill(past[b] + c)),
          [t.length, heads],
          'i32',
        ),
        offsets: tensor(offsets, [offsets.length], 'i32'),
        qRow: tensor(rows, [count], 'i32'),
      },
      { lse: true, ...options },
    )
    return { out: r.out, lse: r.lse! }
  }
  return [
    ...kinds.map(([name, o]): OpCase => ({ name: `attend: ${name}`, build: m => run(m, [40, 1, 5], [0, 70, 33], o), bound: 1e-10 })),
    ...[1, 63, 64, 65].map(
      (t): OpCase => ({ name: `attend: causal, ${t} tokens after 20`, build: m => run(m, [t], [20], { mask: causal }), bound: 1e-10 }),
    ),
    ...(['f16', 'bf16', q8_0] as Storage[]).map(
      (kv): OpCase => ({
        name: `attend: causal, ${typeof kv === 'string' ? kv : kv.name} keys and values`,
        build: m => run(m, [7, 1], [12, 50], { mask: causal }, kv),
        bound: 1e-9,
      }),
    ),
    {
      name: 'attend: uneven head maps',
      gradients: true,
      build: m => run(m, [9], [3], { mask: causal, keyHeads: [0, 0, 0, 1, 2, 2], valueHeads: [0, 1, 1, 1, 2, 2] }),
      bound: 1e-10,
    },
    { name: 'attend: sigmoid', build: m => ({ out: run(m, [9], [3], { mask: causal, weigh: 'sigmoid', lse: false }).out }), bound: 1e-10 },
  ]
}
