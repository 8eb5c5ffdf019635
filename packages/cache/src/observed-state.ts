import type { Observer, StepTokens } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { AttuneError, dense, mapExpr, scatterRows, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import type { KeeperOptions } from './keeper.ts'
import type { EvictionPolicy } from './policy.ts'
import { batchIndex } from './slot-past.ts'

interface SeenQueries {
  readonly heads: number
  readonly width: number
  readonly keyHeads: readonly number[]
}

/** What a policy asked to see, kept on the device: weights of slots and the last queries of each layer. */
export class ObservedState {
  readonly #buffers: BatchBuffers
  /** Of each layer, what each that reads its rows shows. */
  readonly #queries = new Map<number, SeenQueries[]>()
  #batchRows = 1
  #capacity = 0

  constructor(
    readonly options: KeeperOptions,
    readonly policy: EvictionPolicy,
  ) {
    this.#buffers = new BatchBuffers(options.device)
  }
  /** Steps in which attention must answer. */
  get queries(): 'all' | number | undefined {
    const { mass, queries } = this.policy.observes
    return mass === 'all' ? 'all' : mass || queries ? Math.max(mass ?? 0, queries ?? 0) : undefined
  }
  /** Queries that are kept of each sequence. */
  get #most(): number {
    return Math.max(this.policy.observes.queries ?? 0, this.policy.rehearse?.observes.queries ?? 0)
  }
  get allocations(): number {
    return this.#buffers.allocations
  }

  async reserve(batchRows: number, capacity: number): Promise<void> {
    this.#batchRows = batchRows
    this.#capacity = capacity
    for (const [i, { spec }] of this.options.layers.entries()) {
      const heads = headsOf(spec)
      if (this.policy.observes.mass && heads > 0)
        await this.#buffers.fit(`mass.${i}`, { batchRows, runs: heads, items: capacity, itemBytes: 4 })
    }
    for (const [i, readers] of this.#queries)
      for (const [reader, { heads, width }] of readers.entries()) await this.#fitQueries(i, reader, heads, width)
  }
  buffers = () => this.#buffers.all()
  fork = (from: number, to: number): Promise<void> => this.#buffers.copyRow(from, to)
  dispose = (): void => this.#buffers.dispose()

  /** Graph side for one layer; `before` (B) i32 are the rows before the step, `lengths` (B, heads) the slots after it. */
  observer(layer: number, lengths: Tensor, before: Tensor, tokens: StepTokens, capacity: number, effects: Tensor[]): Observer {
    const { mass } = this.policy.observes
    const queries = this.#most
    const heads = lengths.shape[1] as number
    let sum: Tensor | undefined
    let readers = 0
    return {
      mass: mass !== undefined,
      takeMass: (_part, seen) => {
        const shape = [tokens.batchRows, heads, capacity]
        const old = sum ?? (mass === 'all' ? continued(state(`mass.${layer}`, 'f32', shape), before) : undefined)
        sum = old ? mapExpr(variable('x0', 'f32').add(variable('x1', 'f32')), [old, seen]) : seen
        const flat = [tokens.batchRows, heads * capacity]
        effects.push(scatterRows(state(`mass.${layer}`, 'f32', flat), batchIndex(tokens), dense(sum).reshape(flat)))
      },
      takeQueries: queries
        ? (_part, q, keyHeads) => {
            const [, h, width] = q.shape as readonly number[]
            const reader = readers++
            const seen = this.#queries.get(layer) ?? []
            this.#queries.set(layer, seen)
            seen[reader] = { heads: h, width, keyHeads }
            void this.#fitQueries(layer, reader, h, width)
            const b = variable('x0', 'i32')
            const index = mapExpr(b.mul(queries).add(variable('x1', 'i32').mod(queries)), [tokens.batch, tokens.row])
            const buffer = state(queriesName(layer, reader), 'f32', [tokens.batchRows * queries, h * width])
            effects.push(scatterRows(buffer, index, dense(q).reshape([tokens.count, h * width])))
          }
        : undefined,
    }
  }

  /** Weights of a batch row's slots, (heads, capacity). */
  async mass(layer: number, row: number): Promise<Float32Array> {
    return floats(await this.#buffers.readRow(`mass.${layer}`, row))
  }
  /** Puts weights back in place, after slots moved. */
  async setMass(layer: number, row: number, mass: Float32Array): Promise<void> {
    await this.#buffers.writeRow(`mass.${layer}`, row, new Uint8Array(mass.buffer, mass.byteOffset, mass.byteLength))
  }
  /** The `wanted` last observed queries of a batch row, oldest first: the heads of all layers that read this one's rows, side by side. */
  async lastQueries(layer: number, row: number, rows: number, wanted: number) {
    const readers = this.#queries.get(layer)
    if (!readers || wanted === 0) return undefined
    const [{ width }] = readers
    const odd = readers.find(r => r.width !== width)
    if (odd)
      throw new AttuneError('ERR_UNSUPPORTED', `layer ${layer} is read by queries of ${width} and of ${odd.width} numbers`, { layer })
    const count = Math.min(wanted, rows)
    const all = readers.reduce((n, { heads }) => n + heads, 0) * width
    const data = new Float32Array(count * all)
    let at = 0
    for (const [reader, { heads }] of readers.entries()) {
      const size = heads * width
      const ring = floats(await this.#buffers.readRow(queriesName(layer, reader), row))
      for (let i = 0; i < count; i++) {
        const slot = (rows - count + i) % this.#most
        data.set(ring.subarray(slot * size, (slot + 1) * size), i * all + at)
      }
      at += size
    }
    return { count, width, data, keyHeads: readers.flatMap(r => r.keyHeads) }
  }
  get capacity(): number {
    return this.#capacity
  }

  readonly #fitQueries = (layer: number, reader: number, heads: number, width: number): Promise<void> =>
    this.#buffers.fit(queriesName(layer, reader), {
      batchRows: this.#batchRows,
      runs: 1,
      items: this.#most,
      itemBytes: 4 * heads * width,
    })
}

const queriesName = (layer: number, reader: number): string => `queries.${layer}.${reader}`

/** Key heads of a layer's rows; 0 where it keeps none. */
export const headsOf = (spec: KeeperOptions['layers'][number]['spec']): number => {
  const first = Object.values(spec).find(kind => kind.kind === 'rows' && kind.axis === 'self')
  return first?.kind === 'rows' ? first.heads : 0
}

/** Zeros for sequences that begin with this step. */
const continued = (x: Tensor, before: Tensor): Tensor =>
  mapExpr(table(before, { dtype: 'i32', rank: 1 }).at(variable('i0', 'i32')).gt(0).select(variable('x0', 'f32'), 0), [x])
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer)
