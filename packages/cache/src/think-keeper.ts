import type { Past, StepTokens } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { AttuneError, bytesOf, copyOf, type DeviceBuffer, dense, input, mapExpr, state, type Tensor, tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { type Keeper, type KeeperOptions, ownRows, type RowsView, type StepPlan } from './keeper.ts'
import { bucket } from './manager.ts'
import { ObservedState } from './observed-state.ts'
import { usedChannels } from './policies/channels.ts'
import { decodeRows, encodeRows } from './row-bytes.ts'
import { partName } from './slot-keeper.ts'
import { appendRows, type SlotRows, slotPast } from './slot-past.ts'
import type { ThinkOptions } from './think.ts'

/** Two runs of rows per sequence: those of its prompt with narrow keys, and those after it. */
export class ThinkKeeper implements Keeper {
  readonly #late: BatchBuffers
  readonly #early: BatchBuffers
  readonly #tables: BatchBuffers
  readonly #seen: ObservedState
  /** Rows of each batch row whose keys are narrow. */
  readonly #narrow: number[] = []
  #batchRows = 1
  #most = 1

  constructor(
    readonly options: KeeperOptions,
    readonly think: Required<ThinkOptions>,
  ) {
    const positioned = options.layers.findIndex(l => l.positions)
    if (positioned >= 0)
      throw new AttuneError('ERR_UNSUPPORTED', `layer ${positioned}: its score reads key positions, which the think cache does not keep`, {
        layer: positioned,
      })
    this.#late = new BatchBuffers(options.device)
    this.#early = new BatchBuffers(options.device)
    this.#tables = new BatchBuffers(options.device)
    const observes = { queries: think.window }
    this.#seen = new ObservedState(options, { name: 'think', about: { title: '' }, observes, after: 'prefill', plan: () => [] })
  }

  get observes(): number {
    return this.think.window
  }
  get key(): string {
    return `think${this.#capacity}+${this.#earlyCapacity}`
  }
  get bytes(): number {
    return this.#late.bytes + this.#early.bytes
  }
  get allocations(): number {
    return this.#late.allocations + this.#early.allocations + this.#tables.allocations + this.#seen.allocations
  }
  get #capacity(): number {
    return bucket(this.#most)
  }
  /** 0 until the first prompt was read. */
  get #earlyCapacity(): number {
    const most = Math.max(0, ...this.#narrow.filter(Number))
    return most > 0 ? bucket(most) : 0
  }
  readonly #before = (row: number): number => this.#narrow[row] ?? 0
  /** Channels of a key part's narrow rows; undefined for parts that stay as they are. */
  #channels(part: string, width: number): number | undefined {
    return part === this.think.keys ? width - Math.floor(width * (1 - this.think.channels)) : undefined
  }

  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#batchRows = batchRows
    this.#most = Math.max(this.#most, ...Array.from(rows, (n, b) => n - this.#before(b)))
    await this.#fit()
    await this.#seen.reserve(batchRows, this.#capacity)
  }
  async #fit(): Promise<void> {
    const [batchRows, items] = [this.#batchRows, this.#earlyCapacity]
    for (const [i, { spec }] of this.options.layers.entries())
      for (const [part, { heads, width }] of ownRows(spec)) {
        const shape = { batchRows, runs: heads }
        const bytes = (n: number) => bytesOf(this.options.kv, n)
        await this.#late.fit(partName(part, i), { ...shape, items: this.#capacity, itemBytes: bytes(width) })
        if (items === 0) continue
        const channels = this.#channels(part, width)
        await this.#early.fit(`early.${partName(part, i)}`, { ...shape, items, itemBytes: bytes(channels ?? width) })
        if (channels) await this.#tables.fit(`channels.${i}`, { ...shape, items: channels, itemBytes: 4 })
      }
  }
  inputs({ batchRows, items, rows }: StepPlan): Record<string, Int32Array> {
    const slots = items.flatMap(({ row, before, count }) => Array.from({ length: count }, (_, i) => before - this.#before(row) + i))
    const early = Int32Array.from({ length: batchRows }, (_, b) => this.#before(b))
    return {
      'think:slots': Int32Array.from(slots),
      'think:lengths': rows.slice(0, batchRows).map((n, b) => n - early[b]),
      'think:early': early,
    }
  }
  lengths = (): Record<string, number> => ({})
  buffers = (): Record<string, DeviceBuffer> => ({
    ...this.#late.all(),
    ...this.#early.all(),
    ...this.#tables.all(),
    ...this.#seen.buffers(),
  })

  graph(tokens: StepTokens, effects: Tensor[], observe: boolean): (layer: number) => RowsView {
    const [b, capacity] = [tokens.batchRows, this.#capacity]
    const early = input('think:early', 'i32', [b])
    const own: SlotRows = {
      capacity,
      slots: input('think:slots', 'i32', [tokens.count]),
      lengths: input('think:lengths', 'i32', [b]),
      find: row => row,
    }
    return i => {
      const parts = Object.fromEntries(
        ownRows(this.options.layers[i].spec).map(([part, { heads, width }]) => [
          part,
          state(partName(part, i), this.options.kv, [b, heads, capacity, width]),
        ]),
      )
      return {
        append: values => {
          for (const [part, value] of Object.entries(values)) parts[part] = appendRows(parts[part], value, tokens, own, effects)
          const past = slotPast({ ...parts }, tokens, own)
          const lengths = past.lengths[this.think.keys]
          const observing = observe && lengths ? this.#seen.observer(i, lengths, early, tokens, capacity, effects) : undefined
          return this.#earlyCapacity > 0 ? { ...this.#joined(i, past, early), observing } : { ...past, observing }
        },
        rewrite(part) {
          throw new AttuneError('ERR_UNSUPPORTED', `narrow rows are not rewritten: layer ${i}, part '${part}'`, { layer: i, part })
        },
      }
    }
  }

  /** The late rows, and as a segment of their own the early ones. */
  #joined(layer: number, late: Past, early: Tensor): Past {
    const [b, items] = [late.tokens.batchRows, this.#earlyCapacity]
    const kinds = ownRows(this.options.layers[layer].spec)
    const perPart = <T>(make: (part: string, heads: number, width: number) => T) =>
      Object.fromEntries(kinds.map(([part, { heads, width }]) => [part, make(part, heads, width)]))
    const from = table(early, { dtype: 'i32', rank: 1 }).at(variable('i0', 'i32'))
    const whole = (): never => {
      throw new AttuneError('ERR_UNSUPPORTED', `layer ${layer} reads rows one by one, and the think cache keeps parts of some`, { layer })
    }
    const { keys } = this.think
    return {
      ...late,
      rows: perPart((_, heads) => mapExpr(variable('i2', 'i32').add(from), [], { dtype: 'i32', shape: [b, heads, this.#capacity] })),
      at: whole,
      dense: whole,
      more: [
        {
          parts: perPart((part, heads, width) =>
            state(`early.${partName(part, layer)}`, this.options.kv, [b, heads, items, this.#channels(part, width) ?? width]),
          ),
          lengths: perPart((_, heads) => copyOf(early.unsqueeze(1).expand([b, heads]))),
          turn: (part, q, keyHeads) => {
            const kind = kinds.find(([name]) => name === part)![1]
            const channels = this.#channels(part, kind.width)
            if (part !== keys || !channels) return q
            const picks = state(`channels.${layer}`, 'i32', [b, kind.heads, channels])
            return picked(dense(q), late.tokens.batch, picks, keyHeads)
          },
        },
      ],
    }
  }

  trim(row: number, from: number, to: number): void {
    if (to > 0 && to < from && to < this.#before(row))
      throw new AttuneError('ERR_UNSUPPORTED', `${this.#before(row)} rows have narrow keys; a trim to ${to} would cut into them`, {
        rows: to,
      })
    if (to === 0) this.#narrow[row] = 0
  }
  async fork(from: number, to: number): Promise<void> {
    this.#narrow[to] = this.#before(from)
    for (const buffers of [this.#late, this.#early, this.#tables]) await buffers.copyRow(from, to)
    await this.#seen.fork(from, to)
  }
  close(row: number): void {
    this.#narrow[row] = 0
  }
  dispose(): void {
    for (const buffers of [this.#late, this.#early, this.#tables, this.#seen]) buffers.dispose()
  }

  /** Narrows the keys of a sequence's first prompt. */
  async settle(row: number, when: 'prefill' | 'step', { rows }: { readonly rows: number }): Promise<undefined> {
    const count = rows - this.think.recent
    if (when !== 'prefill' || this.#before(row) > 0 || count <= 0) return
    const picks = await Promise.all(this.options.layers.map((_, i) => this.#pick(i, row, rows)))
    this.#narrow[row] = count
    await this.#fit()
    const { kv } = this.options
    for (const [i, { spec }] of this.options.layers.entries())
      for (const [part, { width }] of ownRows(spec)) {
        const name = partName(part, i)
        const channels = this.#channels(part, width)
        const size = bytesOf(kv, width)
        const runs = await this.#runs(i, part, row)
        const early = runs.map((run, h) => {
          const own = run.subarray(0, count * size)
          return channels ? encodeRows(columns(decodeRows(own, kv), width, picks[i]![h]), kv) : own
        })
        await this.#early.writeRow(`early.${name}`, row, joined(early, this.#earlyCapacity * bytesOf(kv, channels ?? width)))
        await this.#late.writeRow(
          name,
          row,
          joined(
            runs.map(run => run.subarray(count * size, rows * size)),
            runs[0].length,
          ),
        )
        if (channels)
          await this.#tables.writeRow(
            `channels.${i}`,
            row,
            joined(
              picks[i]!.map(p => new Uint8Array(p.buffer)),
              4 * channels,
            ),
          )
      }
    this.#most = 1
  }
  /** Channels that stay of each head's keys. */
  async #pick(layer: number, row: number, rows: number): Promise<Int32Array[] | undefined> {
    const { keys, window } = this.think
    const found = ownRows(this.options.layers[layer].spec).find(([part]) => part === keys)
    if (!found) return undefined
    const [, { heads, width }] = found
    const stored = (await this.#runs(layer, keys, row)).map(run =>
      decodeRows(run.subarray(0, rows * bytesOf(this.options.kv, width)), this.options.kv),
    )
    const queries = await this.#seen.lastQueries(layer, row, rows, window)
    return usedChannels({ heads, rows: [], queries, parts: { [keys]: stored } }, keys, this.#channels(keys, width)!)
  }
  /** Late rows of each head of a part, with the room behind them. */
  async #runs(layer: number, part: string, row: number): Promise<Uint8Array[]> {
    const { heads } = ownRows(this.options.layers[layer].spec).find(([name]) => name === part)![1]
    const bytes = await this.#late.readRow(partName(part, layer), row)
    const size = bytes.length / heads
    return Array.from({ length: heads }, (_, h) => bytes.subarray(h * size, (h + 1) * size))
  }
}

/** q (N, H, d) → (N, H, channels): what each query's key head keeps. */
function picked(q: Tensor, batch: Tensor, picks: Tensor, keyHeads: readonly number[]): Tensor {
  const [n, h, j] = ['i0', 'i1', 'i2'].map(name => variable(name, 'i32'))
  const head = table(tensor(Int32Array.from(keyHeads), [keyHeads.length], 'i32'), { dtype: 'i32', rank: 1 }).at(h)
  const row = table(batch, { dtype: 'i32', rank: 1 }).at(n)
  const channel = table(picks, { dtype: 'i32', rank: 3 }).at(row, head, j)
  const own = table(q, { dtype: 'f32', rank: 3 }).at(n, h, channel.max(0))
  return mapExpr(own, [], { dtype: 'f32', shape: [q.shape[0], q.shape[1], picks.shape[2]] })
}
/** Some columns of rows of `width` numbers. */
function columns(rows: Float32Array, width: number, picks: Int32Array): Float32Array {
  const out = new Float32Array((rows.length / width) * picks.length)
  for (let i = 0; i < out.length; i++) out[i] = rows[Math.floor(i / picks.length) * width + picks[i % picks.length]]
  return out
}
/** Runs one after the other, each in `size` bytes. */
function joined(runs: readonly Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(runs.length * size)
  for (const [i, run] of runs.entries()) out.set(run, i * size)
  return out
}
