import { type Past, type PoolKind, partsOf, type StateSpec, type StepTokens, wholeBlocks } from '@attune/attention'
import { type Expr, variable } from '@attune/expr'
import { bytesOf, capacity, copyOf, dense, fill, input, mapExpr, max, min, scatterRows, state, sum, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import type { KeeperOptions, StepPlan } from './keeper.ts'
import { bucket } from './manager.ts'
import { partName } from './slot-keeper.ts'
import { once } from './slot-past.ts'

/** Pooled parts: one row per whole block, computed in the step that completes the block. */
export class Pools {
  readonly #buffers: BatchBuffers
  readonly #kinds: readonly PoolKind[]
  #capacity = 0
  constructor(readonly options: KeeperOptions) {
    this.#buffers = new BatchBuffers(options.device)
    const all = options.layers.flatMap(({ spec }) => partsOf(spec, 'pool').map(([, kind]) => kind))
    this.#kinds = [...new Map(all.map(k => [poolKey(k), k])).values()]
  }
  get key(): string {
    return this.#kinds.length > 0 ? `pools${this.#capacity}` : ''
  }
  get bytes(): number {
    return this.#buffers.bytes
  }
  get allocations(): number {
    return this.#buffers.allocations
  }

  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#capacity = Math.max(this.#capacity, bucket(Math.max(1, ...Array.from(rows))))
    for (const [i, { spec }] of this.options.layers.entries())
      for (const [part, kind] of partsOf(spec, 'pool'))
        await this.#buffers.fit(partName(part, i), {
          batchRows,
          runs: kind.heads,
          items: poolCapacity(kind, this.#capacity),
          itemBytes: bytesOf('f32', kind.width),
        })
  }
  /** Which blocks the step completes, and how many there are then. */
  inputs({ batchRows, capacity: tokens, items, rows }: StepPlan): Record<string, Int32Array> {
    const out: Record<string, Int32Array> = {}
    for (const kind of this.#kinds) {
      const key = poolKey(kind)
      const fresh = items.flatMap(({ row, before, count }) => {
        const from = wholeBlocks(kind, before)
        return Array.from({ length: wholeBlocks(kind, before + count) - from }, (_, i) => [row, from + i] as const)
      })
      const most = this.#mostFresh(kind, tokens, batchRows)
      const block = new Int32Array(most).fill(-1)
      const batch = new Int32Array(most)
      for (const [i, [b, j]] of fresh.entries()) [batch[i], block[i]] = [b, j]
      Object.assign(out, { [`${key}:block`]: block, [`${key}:batch`]: batch })
      out[`${key}:count`] = rows.slice(0, batchRows).map(n => wholeBlocks(kind, n))
    }
    return out
  }
  buffers = () => this.#buffers.all()

  /** Adds the pooled parts of a layer to its past. */
  graph(tokens: StepTokens, effects: Tensor[]): (layer: number, spec: StateSpec, past: Past, params: unknown) => Past {
    const fresh = new Map(this.#kinds.map(kind => [poolKey(kind), this.#fresh(kind, tokens)]))
    return (i, spec, past, params) => {
      const added: Added = {}
      for (const [name, kind] of partsOf(spec, 'pool')) {
        const { block, batch, count } = fresh.get(poolKey(kind))!
        const shape = [tokens.batchRows, kind.heads, poolCapacity(kind, this.#capacity), kind.width]
        const pooled = pooledRows(kind, past, block, batch, params) // (M, heads, width)
        const buffer = state(partName(name, i), 'f32', shape).reshape([shape[0] * shape[1] * shape[2], kind.width])
        const next = scatterRows(buffer, blockIndex(block, batch, shape), pooled)
        effects.push(next)
        const lengths = once(count, `lengths${kind.heads}`, () => copyOf(count.unsqueeze(1).expand([tokens.batchRows, kind.heads])))
        added[name] = { part: next.reshape(shape), lengths }
      }
      return withPools(past, added)
    }
  }
  savedBytes(rows: number): Record<string, number> {
    return Object.fromEntries(this.#all().map(([name, kind]) => [name, kind.heads * wholeBlocks(kind, rows) * bytesOf('f32', kind.width)]))
  }
  async save(row: number, rows: number): Promise<Record<string, Uint8Array>> {
    const out: Record<string, Uint8Array> = {}
    for (const [name, kind] of this.#all()) out[name] = await this.#buffers.saveRow(name, row, wholeBlocks(kind, rows))
    return out
  }
  async load(row: number, rows: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    for (const [name, kind] of this.#all()) await this.#buffers.loadRow(name, row, wholeBlocks(kind, rows), saved[name])
  }
  fork = (from: number, to: number): Promise<void> => this.#buffers.copyRow(from, to)
  dispose = (): void => this.#buffers.dispose()

  #all = (): [string, PoolKind][] =>
    this.options.layers.flatMap(({ spec }, i) => partsOf(spec, 'pool').map(([part, kind]): [string, PoolKind] => [partName(part, i), kind]))
  #fresh(kind: PoolKind, tokens: StepTokens) {
    const most = this.#mostFresh(kind, capacity(tokens.count), tokens.batchRows)
    const key = poolKey(kind)
    return {
      block: input(`${key}:block`, 'i32', [most]),
      batch: input(`${key}:batch`, 'i32', [most]),
      count: input(`${key}:count`, 'i32', [tokens.batchRows]),
    }
  }
  readonly #mostFresh = (kind: PoolKind, tokens: number, batchRows: number): number => Math.floor(tokens / kind.stride) + batchRows
}

/** The pooled parts of a sequence whose rows all came in one step: `rows` of them (an Expr), at most `most`. */
export function pooledPast(spec: StateSpec, past: Past, most: number, rows: Expr, params: unknown): Past {
  const added: Added = {}
  for (const [name, kind] of partsOf(spec, 'pool')) {
    const blocks = poolCapacity(kind, most)
    const whole = rows.lt(kind.size).select(0, rows.sub(kind.size).max(0).idiv(kind.stride).add(1))
    const block = mapExpr(variable('i0', 'i32').lt(whole).select(variable('i0', 'i32'), -1), [], { dtype: 'i32', shape: [blocks] })
    const pooled = pooledRows(kind, past, block, fill(0, [blocks], 'i32'), params) // (blocks, heads, width)
    added[name] = {
      part: copyOf(pooled.permute(1, 0, 2)).unsqueeze(0), // (1, heads, blocks, width)
      lengths: mapExpr(whole, [], { dtype: 'i32', shape: [1, kind.heads] }),
    }
  }
  return withPools(past, added)
}

type Added = Record<string, { readonly part: Tensor; readonly lengths: Tensor }>
function withPools(past: Past, added: Added): Past {
  const parts = Object.fromEntries(Object.entries(added).map(([name, x]) => [name, x.part]))
  const lengths = Object.fromEntries(Object.entries(added).map(([name, x]) => [name, x.lengths]))
  return { ...past, parts: { ...past.parts, ...parts }, lengths: { ...past.lengths, ...lengths } }
}

const poolCapacity = (kind: PoolKind, rows: number): number => Math.max(1, wholeBlocks(kind, rows))
const poolKey = ({ size, stride }: PoolKind): string => `pool:${size}/${stride}`

function pooledRows(kind: PoolKind, past: Past, block: Tensor, batch: Tensor, params: unknown): Tensor {
  const shape = [block.shape[0], kind.size]
  const [m, i] = [variable('x0', 'i32'), variable('i1', 'i32')]
  const row = mapExpr(m.lt(0).select(-1, m.mul(kind.stride).add(i)), [block.unsqueeze(1)], { dtype: 'i32', shape })
  const rows = past.at(kind.of, copyOf(batch.unsqueeze(1).expand(shape)), row) // (M, size, heads, width)
  if (typeof kind.by === 'function') return kind.by(rows, params)
  if (kind.by === 'mean') return mapExpr(variable('x0', 'f32').div(kind.size), [sum(rows, 1)])
  return kind.by === 'max' ? max(rows, 1) : min(rows, 1)
}

const blockIndex = (block: Tensor, batch: Tensor, [, heads, blocks]: readonly number[]): Tensor => {
  const [j, b, h] = [variable('x0', 'i32'), variable('x1', 'i32'), variable('i1', 'i32')]
  return dense(
    mapExpr(j.lt(0).select(-1, b.mul(heads).add(h).mul(blocks).add(j)), [block.unsqueeze(1), batch.unsqueeze(1)], {
      dtype: 'i32',
      shape: [block.shape[0], heads],
    }),
  )
}
