import { type ScanAttrs, scan, scanOperands } from '@attune/ops'
import { elements, f32, type Kernel, rowMajor, type ViewType } from '@attune/tensor'
import { first, whyType } from './layout.ts'

/** Columns of the state that one chunk carries (`scanSlice` in native/scan.h). */
const SLICE = 64

/** Token by token, a chunk per batch row, state head and slice of value columns. */
export const scanKernel: Kernel<ScanAttrs> = {
  name: 'scan',
  op: scan,
  why({ inputs, attrs }) {
    const o = scanOperands(inputs, attrs)
    return first(
      ...attrs.names.map(n => whyType(n, o[n]!, n === 'offsets' ? 'i32' : 'f32')),
      inputs.some(t => t.strides.some(s => s > 2 ** 31 - 1)) ? 'an operand has a stride beyond 2^31 elements' : undefined,
    )
  },
  cost: ({ inputs: [q], outputs: [, state] }) => elements(q.shape.slice(0, 1)) * elements(state.shape.slice(1)),
  plan({ inputs, attrs, outputs: [out, state] }) {
    const o = scanOperands(inputs, attrs)
    const at = (t: ViewType | undefined) => (t ? { input: inputs.indexOf(t) } : ({ none: true } as const))
    const strides = (t: ViewType | undefined, rank: number) => Array.from({ length: rank }, (_, i) => t?.strides[i] ?? 0)
    const layout = [
      ...[o.q, o.k, o.v].flatMap(t => t.strides),
      ...o.initial.strides,
      o.offsets.strides[0],
      ...strides(o.decay, 3),
      ...strides(o.beta, 2),
      ...rowMajor(out.shape).slice(0, 2),
    ]
    const [rows, states, dk, dv] = state.shape
    const decay = o.decay ? o.decay.shape.length - 1 : 0
    return {
      launches: [
        {
          text: 'scan',
          bind: [
            { data: Int32Array.from(layout) },
            { data: Int32Array.from(headLists(attrs)) },
            ...[o.q, o.k, o.v, o.initial, o.offsets, o.decay, o.beta].map(at),
            { output: 0 },
            { output: 1 },
          ],
          params: [rows, states, dk, dv, decay, attrs.rule === 'delta' ? 1 : 0, f32(attrs.scale)],
          threadScratch: (dk as number) * (SLICE + 2) * 4,
        },
      ],
    }
  },
}

/** Key and value head of each state head; where each state head's readers begin, and the end; per reader its output and query head. */
function headLists({ keyHeads, valueHeads, stateHeads, queryHeads }: ScanAttrs): number[] {
  const readers = keyHeads.map((_, p) => stateHeads.flatMap((s, h) => (s === p ? [h] : [])))
  const begins = [0]
  for (const r of readers) begins.push(begins.at(-1)! + r.length)
  return [...keyHeads, ...valueHeads, ...begins, ...readers.flat().flatMap(h => [h, queryHeads[h]])]
}
