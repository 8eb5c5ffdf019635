import { scanOf } from '@attune/ops'
import { mapWith, tensor } from '@attune/tensor'
import type { CaseMaker, OpCase } from './op-cases.ts'

/** Linear recurrences by rule and decay, over rows of unlike lengths. */
export function scanCases(): OpCase[] {
  const run = (m: CaseMaker, rule: 'add' | 'delta', decay: 'none' | 'head' | 'channel', counts: readonly number[], dims = [16, 20]) => {
    const tokens = counts.reduce((a, b) => a + b, 0)
    const [dk, dv] = dims
    const shrunk = (shape: readonly number[]) => mapWith(x => x.abs().neg(), [m.floats(shape)])
    const r = scanOf(
      {
        q: m.floats([tokens, 2, dk]),
        k: m.floats([tokens, 2, dk], 0.2),
        v: m.floats([tokens, 4, dv]),
        initial: m.floats([counts.length, 4, dk, dv]),
        offsets: tensor([0, ...counts.map((_, b) => counts.slice(0, b + 1).reduce((a, c) => a + c, 0))], [counts.length + 1], 'i32'),
        decay: decay === 'none' ? undefined : shrunk(decay === 'head' ? [tokens, 4] : [tokens, 4, dk]),
        beta: rule === 'delta' ? mapWith(x => x.sigmoid(), [m.floats([tokens, 4])]) : undefined,
      },
      { scale: dk ** -0.5 },
    )
    return { out: r.out, state: r.state }
  }
  return (['add', 'delta'] as const).flatMap(rule =>
    (['none', 'head', 'channel'] as const).flatMap((decay): OpCase[] => [
      { name: `scan: ${rule}, decay ${decay}`, build: m => run(m, rule, decay, [40, 0, 1, 30]), bound: 1e-10 },
      { name: `scan: ${rule}, decay ${decay}, 1 token`, build: m => run(m, rule, decay, [1]), bound: 1e-11 },
      {
        name: `scan: ${rule}, decay ${decay}, small`,
        gradients: true,
        build: m => run(m, rule, decay, [3, 2], [4, 3]),
        bound: 1e-10,
      },
    ]),
  )
}
