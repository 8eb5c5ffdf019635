import { type Past, partsOf, rulesOf, type StateView, type StepTokens } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { AttuneError, bytesOf, type DeviceBuffer, input, isCodec, mapExpr, product, scatterRows, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { borrowed, type Owned, readByAll } from './borrow.ts'
import type { Keeper, KeeperOptions, Sharing, StepPlan } from './keeper.ts'
import type { CacheManager } from './manager.ts'
import { MemoryRows } from './memory-rows.ts'
import { Pools } from './pools.ts'
import { under, within } from './save-file.ts'
import { sharingOf } from './sharing.ts'
import { partName } from './slot-keeper.ts'
import { batchIndex } from './slot-past.ts'

/** Everything a model's layers remember on one device: rows by a cache manager, and the kinds that no manager moves. */
export class States {
  readonly rows: Keeper
  readonly memory: MemoryRows
  readonly #pools: Pools
  readonly #fixed: BatchBuffers
  readonly #held = new Map<number, Readonly<Record<'pools' | 'fixed', Readonly<Record<string, Uint8Array>>>>>()
  #batchRows = 0

  readonly options: KeeperOptions

  constructor(manager: CacheManager, given: KeeperOptions) {
    const options = { ...given, layers: readByAll(given.layers) }
    this.options = options
    for (const [i, { spec, mask }] of options.layers.entries())
      for (const kind of Object.values(spec)) {
        const why = manager.why(kind, mask)
        if (why)
          throw new AttuneError('ERR_UNSUPPORTED', `layer ${i} cannot use the ${manager.name} cache: ${why}`, {
            layer: i,
            cache: manager.name,
          })
        if (kind.kind === 'rows' && isCodec(given.kv) && kind.width % given.kv.block !== 0)
          throw new AttuneError(
            'ERR_UNSUPPORTED',
            `layer ${i} keeps rows of ${kind.width} numbers, which do not fill the blocks of ${given.kv.block} that ${given.kv.name} stores`,
            { layer: i, width: kind.width },
          )
      }
    this.rows = manager.open(options)
    this.memory = new MemoryRows(options)
    this.#pools = new Pools(options)
    this.#fixed = new BatchBuffers(options.device)
  }

  /** Equal keys give equal graphs. */
  get key(): string {
    return [this.#batchRows, this.rows.key, this.memory.key, this.#pools.key].join('|')
  }
  /** Sequences the graphs are built for. */
  get batchRows(): number {
    return this.#batchRows
  }
  /** Bytes allocated for what is remembered (tables left out). */
  get bytes(): number {
    return this.rows.bytes + this.memory.bytes + this.#pools.bytes + this.#fixed.bytes
  }
  get allocations(): number {
    return this.rows.allocations + this.memory.allocations + this.#pools.allocations + this.#fixed.allocations
  }

  /** Makes room for `batchRows` sequences of `rows[b]` rows. */
  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#batchRows = Math.max(this.#batchRows, batchRows)
    await this.rows.reserve(this.#batchRows, rows)
    await this.#pools.reserve(this.#batchRows, rows)
    await this.memory.reserve(this.#batchRows)
    for (const [i, { spec }] of this.options.layers.entries()) {
      for (const [part, shape] of fixedParts(spec))
        await this.#fixed.fit(partName(part, i), {
          batchRows: this.#batchRows,
          runs: 1,
          items: 1,
          itemBytes: bytesOf('f32', product(shape)),
        })
    }
  }
  inputs(step: StepPlan): Record<string, Int32Array> {
    const before = new Int32Array(this.#batchRows)
    for (const { row, before: n } of step.items) before[row] = n
    return { ...this.rows.inputs(step), ...this.#pools.inputs(step), ...this.memory.inputs(), before }
  }
  buffers(): Record<string, DeviceBuffer> {
    return { ...this.rows.buffers(), ...this.#pools.buffers(), ...this.memory.buffers(), ...this.#fixed.all() }
  }

  /** Views of the layers' states in one step's graph. `params` are what a pooled part's function may use. */
  graph(tokens: StepTokens, effects: Tensor[], observe = false): (layer: number, params: unknown) => StateView {
    const rowsOf = this.rows.graph(tokens, effects, observe)
    const before = input('before', 'i32', [tokens.batchRows])
    const pools = this.#pools.graph(tokens, effects)
    const pasts: Owned[] = []
    // One leaf per buffer, however often a step reads and writes it.
    const leaves = new Map<string, Tensor>()
    return (i, params) => {
      const { spec } = this.options.layers[i]
      const view = rowsOf(i)
      const fixed = new Map(fixedParts(spec))
      const whole = (name: string) => {
        const key = partName(name, i)
        const leaf = leaves.get(key) ?? state(key, 'f32', [tokens.batchRows, ...fixed.get(name)!])
        leaves.set(key, leaf)
        return leaf
      }
      return {
        tokens,
        append(values) {
          let past: Past = view.append(values)
          past = pools(i, spec, past, params)
          past = borrowed(spec, past, pasts)
          pasts[i] = { past }
          return past
        },
        read(name) {
          if (!fixed.has(name)) throw unknown(i, name, 'a fold or a tail')
          return started(whole(name), before)
        },
        write(name, value) {
          if (spec[name]?.kind === 'rows') return view.rewrite(name, value)
          if (!fixed.has(name)) throw unknown(i, name, 'a fold, a tail or rewritten rows')
          const flat = [tokens.batchRows, product(fixed.get(name)!)]
          effects.push(scatterRows(whole(name).reshape(flat), batchIndex(tokens), value.reshape(flat)))
        },
        memory: () => this.memory.past(i, spec, tokens),
      }
    }
  }

  trim(row: number, from: number, to: number): void {
    if (to > from || to < 0) throw new AttuneError('ERR_ARGUMENT', `cannot trim a sequence of ${from} rows to ${to}`, { rows: to })
    const whole = this.options.layers.findIndex(({ spec }) =>
      Object.values(spec).some(kind => kind.kind !== 'borrow' && rulesOf(kind).trim === 'at a snapshot'),
    )
    if (to < from && to > 0 && whole >= 0)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `layer ${whole} keeps a state that cannot go back from ${from} rows to ${to}: trim to 0, or continue a fork made there`,
        { layer: whole, rows: to },
      )
    this.rows.trim(row, from, to)
  }
  async fork(from: number, to: number): Promise<void> {
    await this.rows.fork(from, to)
    await this.#pools.fork(from, to)
    await this.memory.fork(from, to)
    await this.#fixed.copyRow(from, to)
  }
  /** Where sequences may share what they begin with, by what every kind allows; absent where they cannot. */
  get sharing(): Sharing | undefined {
    return sharingOf(this.rows.sharing, this.options.layers)
  }
  /** Holds what the first `rows` rows of a sequence left under a holder's number, below 0. Returns the bytes copied for it, or undefined where rows were evicted. */
  async hold(row: number, holder: number, rows: number): Promise<number | undefined> {
    const own = await this.rows.hold!(row, holder, rows)
    if (own === undefined || !this.sharing!.whole) return own
    const fixed: Record<string, Uint8Array> = {}
    for (const [name] of this.#fixedBytes()) fixed[name] = await this.#fixed.readRow(name, row)
    const pools = await this.#pools.save(row, rows)
    this.#held.set(holder, { pools, fixed })
    return [...Object.values(pools), ...Object.values(fixed)].reduce((n, x) => n + x.byteLength, own)
  }
  /** Lets a fresh batch row with room for `rows` rows begin with them. */
  async adopt(holder: number, row: number, rows: number): Promise<void> {
    await this.rows.adopt!(holder, row, rows)
    const held = this.#held.get(holder)
    if (!held) return
    await this.#pools.load(row, rows, held.pools)
    for (const [name, bytes] of Object.entries(held.fixed)) await this.#fixed.writeRow(name, row, bytes)
  }
  release(holder: number): void {
    this.rows.release!(holder)
    this.#held.delete(holder)
  }
  /** Everything a sequence of `rows` rows remembers. Errors: `ERR_UNSUPPORTED` where the cache cannot save. */
  async save(row: number, rows: number): Promise<Record<string, Uint8Array>> {
    this.savedBytes(rows, 0)
    const fixed: Record<string, Uint8Array> = {}
    for (const [name] of this.#fixedBytes()) fixed[name] = await this.#fixed.readRow(name, row)
    return {
      ...under('rows', await this.rows.save!(row, rows)),
      ...under('pools', await this.#pools.save(row, rows)),
      ...under('memory', await this.memory.save(row)),
      ...under('fixed', fixed),
    }
  }
  /** Sizes of what is saved of a sequence of `rows` rows whose memory axis has `memory` rows. */
  savedBytes(rows: number, memory: number): Record<string, number> {
    if (!this.rows.savedBytes) throw new AttuneError('ERR_UNSUPPORTED', 'this cache cannot save its sequences', {})
    return {
      ...under('rows', this.rows.savedBytes(rows)),
      ...under('pools', this.#pools.savedBytes(rows)),
      ...under('memory', this.memory.savedBytes(memory)),
      ...under('fixed', Object.fromEntries(this.#fixedBytes())),
    }
  }
  /** The way back into a fresh batch row with room for `rows` rows. Parts must be as `savedBytes` says. */
  async load(row: number, rows: number, memory: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    await this.rows.load!(row, rows, within('rows', saved))
    await this.#pools.load(row, rows, within('pools', saved))
    await this.memory.load(row, memory, within('memory', saved))
    for (const [name, bytes] of Object.entries(within('fixed', saved))) await this.#fixed.writeRow(name, row, bytes)
  }
  close(row: number): void {
    this.rows.close(row)
    this.memory.close(row)
  }
  #fixedBytes = (): [string, number][] =>
    this.options.layers.flatMap(({ spec }, i) =>
      fixedParts(spec).map(([part, shape]): [string, number] => [partName(part, i), bytesOf('f32', product(shape))]),
    )
  dispose(): void {
    for (const x of [this.rows, this.#pools, this.memory, this.#fixed]) x.dispose()
  }
}

/** Parts of fixed size per sequence. */
const fixedParts = (spec: KeeperOptions['layers'][number]['spec']): [string, readonly number[]][] => [
  ...partsOf(spec, 'fold').map(([name, { shape }]): [string, readonly number[]] => [name, shape]),
  ...partsOf(spec, 'tail').map(([name, { count, width }]): [string, readonly number[]] => [name, [count, width]]),
]

/** Zeros for sequences that begin with this step, whatever the buffer held. */
function started(x: Tensor, before: Tensor): Tensor {
  const rows = table(before, { dtype: 'i32', rank: 1 }).at(variable('i0', 'i32'))
  return mapExpr(rows.gt(0).select(variable('x0', 'f32'), 0), [x], { dtype: 'f32' })
}

const unknown = (layer: number, name: string, what: string): AttuneError =>
  new AttuneError('ERR_ARGUMENT', `layer ${layer} has no state '${name}' that is ${what}`, { layer, name })
