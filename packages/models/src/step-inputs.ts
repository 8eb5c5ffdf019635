import type { States } from '@attune/cache'
import { frequenciesVary, type RopeSpec, ropeFrequencies } from '@attune/position'
import type { Model } from './model.ts'
import type { StepWork } from './runner.ts'
import { beyondName, ropeName } from './step-graph.ts'

/**
 * Values of a step's inputs. `rows`: rows of each batch row after the step; `capacity`: tokens the step's graph is built for; `spans`: the
 * length each sequence is known to reach; `edges`: lengths that the model parts sequences by.
 */
export function stepInputs(
  model: Model,
  states: States,
  items: readonly StepWork[],
  rows: Int32Array,
  capacity: number,
  { edges, spans }: { readonly edges: readonly number[]; readonly spans: readonly number[] },
): Record<string, Int32Array | Float32Array> {
  const b = states.batchRows
  const count = items.reduce((n, w) => n + w.ids.length, 0)
  const ids = new Int32Array(count)
  const batch = new Int32Array(count)
  const row = new Int32Array(count)
  const position = new Int32Array(count)
  const offsets = new Int32Array(b + 1)
  let at = 0
  for (const { sequence: s, ids: own, positions } of items) {
    for (let i = 0; i < own.length; i++, at++) {
      ids[at] = own[i]
      batch[at] = s.row
      row[at] = s.rows + i
      position[at] = positions ? positions[i] : s.position + i
    }
    offsets[s.row + 1] = own.length
  }
  for (let i = 0; i < b; i++) offsets[i + 1] += offsets[i]
  const plan = {
    batchRows: b,
    capacity,
    items: items.map(({ sequence, ids }) => ({ row: sequence.row, before: sequence.rows, count: ids.length })),
    rows,
  }
  const out: Record<string, Int32Array | Float32Array> = { ids, batch, row, position, offsets, ...states.inputs(plan) }
  const span = Math.max(1, ...spans)
  for (const edge of edges)
    out[beyondName(edge)] = Int32Array.from(items.flatMap((w, i) => new Array(w.ids.length).fill(+(spans[i] > edge))))
  for (const spec of varying(model)) out[ropeName(spec)] = ropeFrequencies(spec, span).values
  return out
}

export const maximum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => Math.max(a, b), 0)
const varying = (model: Model): RopeSpec[] =>
  model.spec.layers.map(l => l.attention.position).filter((p): p is RopeSpec => p.kind === 'rope' && frequenciesVary(p))
