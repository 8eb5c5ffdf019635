import { maskOf, type StepTokens } from '@attune/attention'
import { type CacheManager, type LayoutOperands, type RowsLayout, rowsView, updateRows } from '@attune/cache'
import { table, variable } from '@attune/expr'
import { frequenciesVary, type RopeOperands, type RopeSpec, ropeFrequencies } from '@attune/position'
import { type Dim, type Graph, input, length, mapExpr, type Storage, scatterRows, state, type Tensor, tensor } from '@attune/tensor'
import { type DecoderResult, decoder, variantOf } from './decoder.ts'
import type { Model } from './model.ts'

/** Values of a step that a probe may use or add to. */
export interface StepIo {
  readonly tokens: StepTokens
  /** Index of each batch row's last token (B) i32; −1 where it has none in this step. */
  readonly last: Tensor
  /** A further input of the step, given by name at each run. */
  input(name: string, dtype: Storage, shape: readonly Dim[]): Tensor
}

/** What a step computes beyond updating its caches. `key` names it among recordings. */
export interface Probe {
  readonly key: string
  build(
    result: DecoderResult,
    io: StepIo,
  ): {
    readonly outputs: Readonly<Record<string, Tensor>>
    /** Token drawn for each batch row (B) i32: the row's next input unless the host gives another. */
    readonly draw?: Tensor
  }
}

/** Sizes that fix a step's graph. */
export interface StepShape {
  /** Capacity of the step's tokens. */
  readonly tokens: number
  readonly batchRows: number
  /** Layout of each layer. */
  readonly layouts: readonly RowsLayout[]
  /** Element type of keys and values. */
  readonly kv: Storage
}

export const stateName = (layer: number, part: string): string => `${part}.${layer}`
export const rowsName = (layout: RowsLayout): string => `rows:${layout.key}`
export const ropeName = (spec: RopeSpec): string => `rope:${JSON.stringify([spec.dims, spec.theta, spec.scaling ?? null])}`
export const layoutOf = (manager: CacheManager, model: Model, rows: number, chunk: number): RowsLayout[] =>
  model.spec.layers.map(l => manager.layout(maskOf(l.attention.mask), rows, chunk))

/** The graph of one step of a model: inputs `ids batch row position offsets slots:… lengths:…`, states per layer and part. */
export function stepGraph(model: Model, shape: StepShape, probe: Probe): Graph {
  const { batchRows } = shape
  const count = length('tokens', shape.tokens)
  const tokens: StepTokens = {
    count,
    batchRows,
    batch: input('batch', 'i32', [count]),
    row: input('row', 'i32', [count]),
    position: input('position', 'i32', [count]),
    offsets: input('offsets', 'i32', [batchRows + 1]),
  }
  const effects: Tensor[] = []
  const drawn = state('drawn', 'i32', [batchRows, 1])
  const layouts = layoutOperands(shape, tokens, effects)
  const result = decoder(model.spec, model.variants, model.values, {
    ids: idsOf(tokens, drawn),
    position: tokens.position,
    rope: memoRope(),
    state(layer, spec) {
      const operands = layouts.get(shape.layouts[layer].key)!
      const buffers = Object.fromEntries(
        Object.entries(spec).map(([part, { heads, width }]) => [
          part,
          state(stateName(layer, part), shape.kv, [batchRows, heads, operands.layout.capacity, width]),
        ]),
      )
      return rowsView(spec, buffers, tokens, operands, effects)
    },
  })
  const last = lastOf(tokens)
  const { outputs, draw } = probe.build(result, { tokens, last, input })
  if (draw) effects.push(scatterRows(drawn, activeRows(tokens), draw.unsqueeze(1)))
  return { outputs, effects }
}

/** Bytes of states the model keeps per token and batch row, over all layers. */
export function stateSpecs(model: Model): { layer: number; part: string; heads: number; width: number }[] {
  return model.spec.layers.flatMap((l, layer) =>
    Object.entries(variantOf(model.variants, l).state(l.attention.config)).map(([part, { heads, width }]) => ({
      layer,
      part,
      heads,
      width,
    })),
  )
}

/** The given id, or the one drawn for the token's batch row where the host gave −1. */
function idsOf(tokens: StepTokens, drawn: Tensor): Tensor {
  const given = variable('x0', 'i32')
  const own = table(drawn, { dtype: 'i32', rank: 2 }).at(variable('x1', 'i32'), 0)
  return mapExpr(given.lt(0).select(own, given), [input('ids', 'i32', [tokens.count]), tokens.batch])
}

const offsetAt = (tokens: StepTokens, i: ReturnType<typeof variable>) => table(tokens.offsets, { dtype: 'i32', rank: 1 }).at(i)
function lastOf(tokens: StepTokens): Tensor {
  const b = variable('i0', 'i32')
  const end = offsetAt(tokens, b.add(1))
  return mapExpr(end.gt(offsetAt(tokens, b)).select(end.sub(1), -1), [], { dtype: 'i32', shape: [tokens.batchRows] })
}
function activeRows(tokens: StepTokens): Tensor {
  const b = variable('i0', 'i32')
  return mapExpr(offsetAt(tokens, b.add(1)).gt(offsetAt(tokens, b)).select(b, -1), [], { dtype: 'i32', shape: [tokens.batchRows] })
}

function layoutOperands(shape: StepShape, tokens: StepTokens, effects: Tensor[]): Map<string, LayoutOperands> {
  const out = new Map<string, LayoutOperands>()
  for (const layout of shape.layouts) {
    if (out.has(layout.key)) continue
    const slots = input(`slots:${layout.key}`, 'i32', [tokens.count])
    const rows = layout.remembersRows
      ? updateRows(state(rowsName(layout), 'i32', [tokens.batchRows, layout.capacity]), tokens, slots, effects)
      : undefined
    out.set(layout.key, { layout, slots, rows, lengths: input(`lengths:${layout.key}`, 'i32', [tokens.batchRows]) })
  }
  return out
}

/** Frequencies per distinct rope: a constant, or an input when they depend on the sequence's length. */
function memoRope(): (spec: RopeSpec) => RopeOperands {
  const known = new Map<string, RopeOperands>()
  return spec => {
    const key = ropeName(spec)
    let o = known.get(key)
    if (!o) {
      const { values, factor } = ropeFrequencies(spec, 0)
      const frequencies = frequenciesVary(spec) ? input(key, 'f32', [values.length]) : tensor(values, [values.length])
      known.set(key, (o = { frequencies, factor }))
    }
    return o
  }
}
