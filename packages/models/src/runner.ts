import { automatic, BatchBuffers, bucket, contiguous, ring, States } from '@attune/cache'
import { AttuneError, type Device, type Graph, type Recording, type Storage } from '@attune/tensor'
import { memoryRows, storeMemory } from './memory-step.ts'
import type { Model } from './model.ts'
import { Outgrown } from './outgrown.ts'
import { type Prefixes, prefixesOf } from './prefixes.ts'
import { noOutput } from './probes.ts'
import { Recordings } from './recordings.ts'
import type { RunnerOptions, Sequence, StepOptions, StepWork } from './runner-types.ts'
import { readSequence, type SavedBy, saveSequence } from './saved-sequence.ts'
import { checkStep } from './step-check.ts'
import { layerStates, type Probe, stepGraph } from './step-graph.ts'
import { maximum, stepInputs } from './step-inputs.ts'
import { Turns } from './turns.ts'

export type { RunnerOptions, Sequence, StepOptions, StepWork }

/** Capacities steps are recorded for: few, so that recordings are reused. */
const STEP_SIZES = [1, 2, 4, 8, 32, 128, 256, 512, 1024, 2048, 4096]

/** Owns a model's recordings and caches on one device, and runs steps for any number of sequences. */
export class Runner {
  readonly #states: States
  readonly #recordings: Recordings
  readonly #turns = new Turns()
  readonly #sequences = new Set<Sequence>()
  /** The token drawn last for each batch row. */
  readonly #drawn: BatchBuffers
  readonly kv: Storage
  readonly chunk: number
  readonly #cache: string
  readonly #prefixes: Prefixes | undefined
  readonly #outgrown: Outgrown

  constructor(
    readonly model: Model,
    readonly device: Device,
    { cache = automatic(ring(), contiguous()), kv = 'f32', chunk = 256, prefixBytes = 0, check }: RunnerOptions = {},
  ) {
    this.kv = kv
    this.#cache = cache.settings ? `${cache.name} ${JSON.stringify(cache.settings)}` : cache.name
    this.chunk = Math.min(chunk, STEP_SIZES[STEP_SIZES.length - 1])
    this.#states = new States(cache, { device, layers: layerStates(model), kv, chunk: this.chunk })
    this.#recordings = new Recordings(device, check)
    this.#outgrown = new Outgrown(model.spec, row => this.#drawn.readRow('drawn', row))
    if (prefixBytes > 0) this.#prefixes = prefixesOf(model, this.#states, prefixBytes, cache.name)
    this.#drawn = new BatchBuffers(device)
  }

  /** Starts an empty sequence. */
  open(): Sequence {
    let row = 0
    while ([...this.#sequences].some(s => s.row === row)) row++
    const s: Sequence = { row, rows: 0, position: 0 }
    this.#sequences.add(s)
    return s
  }
  /**
   * Starts a sequence of the tokens `ids`. What an earlier one that began alike left by `keep` is shared: the first `sequence.rows` tokens
   * need not be fed; at least one does.
   */
  begin(ids: ArrayLike<number>): Promise<Sequence> {
    return this.#turns.alone(async () => {
      const sequence = this.open()
      const found = this.#prefixes?.find(ids)
      if (!found) return sequence
      await this.#reserve()
      await this.#states.adopt(found.value, sequence.row, found.length)
      return Object.assign(sequence, { rows: found.length, position: found.length })
    })
  }
  /**
   * Keeps what a sequence has of its tokens `ids` for `begin`, up to where they can be shared: some caches can only keep a sequence
   * that has just `shareable` rows. Returns how many rows are kept.
   */
  keep(sequence: Sequence, ids: ArrayLike<number>): Promise<number> {
    return this.#turns.alone(async () => this.#prefixes?.keep(sequence, ids) ?? 0)
  }
  /** How many of the first `rows` rows `keep` can share, the queries that a policy wants to see left out; undefined where nothing is shared. */
  shareable(rows: number): number | undefined {
    return this.#prefixes?.shareable(rows)
  }
  /** Bytes of beginnings that are kept, and bytes that several sequences use. */
  get sharedBytes(): { readonly kept: number; readonly shared: number } {
    return { kept: this.#prefixes?.bytes ?? 0, shared: this.#states.rows.sharedBytes ?? 0 }
  }
  close(sequence: Sequence): void {
    if (this.#sequences.delete(sequence)) this.#states.close(sequence.row)
  }
  /** Forgets all rows from `rows` on. Errors: `ERR_UNSUPPORTED` where a layer's state cannot go back there. */
  trim(sequence: Sequence, rows: number): void {
    this.#states.trim(sequence.row, sequence.rows, rows)
    sequence.position -= sequence.rows - rows
    sequence.rows = rows
  }
  /** Whether a sequence can be fed `tokens` more and then be trimmed to where it is now. */
  canReturn({ row, rows }: Sequence, tokens: number): boolean {
    try {
      this.#states.trim(row, rows + tokens, rows) // forgets nothing that is there
      return true
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_UNSUPPORTED') return false
      throw error
    }
  }
  /** A new sequence with the same past. */
  async fork(sequence: Sequence): Promise<Sequence> {
    const copy = this.open()
    await this.#reserve()
    copy.rows = sequence.rows
    copy.position = sequence.position
    await this.#states.fork(sequence.row, copy.row)
    this.#outgrown.copy(sequence, copy)
    await this.#drawn.copyRow(sequence.row, copy.row)
    return copy
  }

  /**
   * A sequence as bytes, to go on with later or elsewhere on the same model and cache; `own` are the caller's parts of the file.
   * Errors: `ERR_UNSUPPORTED` where the cache cannot save.
   */
  save(sequence: Sequence, own: Readonly<Record<string, Uint8Array>> = {}): Promise<Uint8Array> {
    return this.#turns.alone(async () => {
      await this.#reserve()
      return saveSequence(this.#saving, sequence.row, sequence, own)
    })
  }
  /**
   * A new sequence from `save`'s bytes: it continues bit for bit as the saved one would on the same device and build.
   * Errors: `ERR_FORMAT` naming the field; `ERR_ARGUMENT` when it was saved from another model, cache or `kv` type.
   */
  load(bytes: Uint8Array): Promise<{ readonly sequence: Sequence; readonly own: Readonly<Record<string, Uint8Array>> }> {
    return this.#turns.alone(async () => {
      const { rows, position, memory, state, own } = await readSequence(this.#saving, bytes)
      const sequence = Object.assign(this.open(), { rows, position })
      await this.#reserve()
      if (rows > 0) await this.#states.load(sequence.row, rows, memory, state)
      await this.#drawn.writeRow('drawn', sequence.row, state.drawn)
      return { sequence, own }
    })
  }

  /**
   * Runs one step and then `use` on its results, before any other step of this runner may overwrite them: sessions that share a runner
   * take turns.
   */
  async turn<T>(work: readonly StepWork[], probe: Probe, use: (r: Recording) => T | Promise<T>, options: StepOptions = {}): Promise<T> {
    return this.#turns.alone(async () => use(await this.step(work, probe, options)))
  }

  /**
   * Gives a sequence the encoder output (rows, dim) that its layers' memory axes hold from now on, in place of what they held. Takes its
   * turn. Errors: `ERR_UNSUPPORTED` for a model without a memory axis.
   */
  async remember(sequence: Sequence, memory: Float32Array, dim: number, signal?: AbortSignal): Promise<void> {
    const rows = memoryRows(this.model, this.#states, memory, dim)
    return this.#turns.alone(async () => {
      if (!this.#sequences.has(sequence)) throw new AttuneError('ERR_ARGUMENT', 'the sequence is closed or belongs to another runner', {})
      await this.#reserve()
      await storeMemory(this.model, this.#states, this.#recorded, { memory, rows, dim, row: sequence.row, signal })
    })
  }

  /** Runs one step over the sequences' new tokens; at most `chunk` tokens in all. */
  async step(work: readonly StepWork[], probe: Probe, options: StepOptions = {}): Promise<Recording> {
    const items = [...work].filter(w => w.ids.length > 0).sort((a, b) => a.sequence.row - b.sequence.row)
    const count = items.reduce((n, w) => n + w.ids.length, 0)
    if (count > this.chunk)
      throw new AttuneError('ERR_ARGUMENT', `a step holds at most ${this.chunk} tokens, got ${count}`, { count, chunk: this.chunk })
    checkStep(items, this.#sequences, this.model.spec, this.#states.memory)
    const spans = await this.#outgrown.before(items, this, options.signal)
    await this.#reserve(items)
    const capacity = STEP_SIZES.find(n => n >= count)!
    const recording = await this.#recording(capacity, probe, options.observe || this.#states.rows.observes === 'all')
    await recording.run({
      lengths: { tokens: count, ...this.#states.rows.lengths() },
      inputs: {
        ...stepInputs(this.model, this.#states, items, this.#rowsAfter(items, this.#states.batchRows), capacity, {
          spans,
          edges: this.#outgrown.edges,
        }),
        ...options.inputs,
      },
      states: { ...this.#states.buffers(), ...this.#drawn.all() },
      signal: options.signal,
    })
    for (const w of items) {
      w.sequence.rows += w.ids.length
      w.sequence.position = (w.positions ? w.positions[w.positions.length - 1] : w.sequence.position + w.ids.length - 1) + 1
      await this.#settle(w.sequence, 'step')
    }
    return recording
  }

  /** Feeds any number of tokens, perhaps none, of one sequence in pieces; `visit` sees each piece's results. */
  async feed(
    sequence: Sequence,
    ids: ArrayLike<number>,
    probe: Probe,
    visit?: (r: Recording, from: number, to: number) => Promise<void> | void,
    options: StepOptions & {
      positions?: ArrayLike<number>
      span?: number
      inputsFor?: (from: number, to: number) => StepOptions['inputs']
      /** The prompt ends here: the cache's policy sees its last queries and acts. */
      settle?: boolean
    } = {},
  ): Promise<void> {
    const span = Math.max(options.span ?? 0, sequence.position + ids.length, ...(options.positions ? [1 + maximum(options.positions)] : []))
    const observes = options.settle ? this.#states.rows.observes : undefined
    // The queries a policy wants to see come in steps of their own.
    const seen = typeof observes === 'number' ? Math.max(0, ids.length - observes) : ids.length
    for (let from = 0, to: number; from < ids.length; from = to) {
      to = Math.min(from + this.chunk, from < seen ? seen : ids.length)
      const piece = Array.prototype.slice.call(ids, from, to)
      const positions = options.positions && Array.prototype.slice.call(options.positions, from, to)
      const inputs = options.inputsFor?.(from, to) ?? options.inputs
      await this.turn([{ sequence, ids: piece, positions, span }], probe, r => visit?.(r, from, to), {
        inputs,
        signal: options.signal,
        observe: options.observe || from >= seen,
      })
    }
    if (!options.settle || sequence.rows === 0) return
    const rehearsed = await this.#rehearse(sequence, Array.from(ids), options.signal)
    await this.#turns.alone(() => this.#settle(sequence, 'prefill', rehearsed))
  }

  get #saving(): SavedBy {
    return { model: this.model, states: this.#states, drawn: this.#drawn, kv: this.kv, cache: this.#cache }
  }
  /** Bytes allocated for everything that is remembered now. */
  get cacheBytes(): number {
    return this.#states.bytes
  }
  /** Batch rows the recordings are made for now. */
  get batchRows(): number {
    return Math.max(this.#states.batchRows, bucket(Math.max(1, ...[...this.#sequences].map(s => s.row + 1)), 1))
  }
  /** Names the buckets and layouts that steps are recorded for now. */
  get stateKey(): string {
    return this.#states.key
  }
  /** How many graphs were recorded, for tests and profiles. */
  get recorded(): number {
    return this.#recordings.count
  }
  get allocations(): number {
    return this.#recordings.allocations + this.#states.allocations + this.#drawn.allocations
  }
  async dispose(): Promise<void> {
    await this.#recordings.dispose()
    this.#states.dispose()
    this.#drawn.dispose()
  }

  /** Lets the cache's policy act. */
  async #settle(sequence: Sequence, when: 'prefill' | 'step', rehearsed?: unknown): Promise<void> {
    const { row, rows, position } = sequence
    const moved = await this.#states.rows.settle?.(row, when, { rows, position, rehearsed })
    if (moved?.position !== undefined) sequence.position = moved.position
  }
  /** Lets it run the model some more on copies of a sequence that has just read `ids`. */
  async #rehearse(sequence: Sequence, ids: readonly number[], signal?: AbortSignal): Promise<unknown> {
    const { rows: keeper } = this.#states
    return keeper.rehearse?.({
      ids,
      from: sequence.rows - ids.length,
      replay: async more => {
        const copy = await this.#turns.alone(() => this.fork(sequence))
        try {
          await this.feed(copy, more, noOutput, undefined, { observe: true, signal })
          return await this.#turns.alone(() => keeper.observe!(copy.row, copy.rows))
        } finally {
          this.close(copy)
        }
      },
    })
  }
  /** Makes room for every sequence and what a step adds to some. */
  async #reserve(items: readonly StepWork[] = []): Promise<void> {
    const { batchRows } = this
    const rows = this.#rowsAfter(items, batchRows)
    await this.#drawn.fit('drawn', { batchRows, runs: 1, items: 1, itemBytes: 4 })
    await this.#states.reserve(batchRows, rows)
  }
  #rowsAfter(items: readonly StepWork[], batchRows: number): Int32Array {
    const rows = new Int32Array(batchRows)
    for (const s of this.#sequences) rows[s.row] = s.rows
    for (const { sequence, ids } of items) rows[sequence.row] = sequence.rows + ids.length
    return rows
  }

  #recording(tokens: number, probe: Probe, observe: boolean): Promise<Recording> {
    const key = [tokens, probe.key, observe].join('|')
    return this.#recorded(key, () => stepGraph(this.model, this.#states, tokens, probe, observe))
  }
  readonly #recorded = (name: string, graph: () => Graph): Promise<Recording> => this.#recordings.get(`${name}|${this.#states.key}`, graph)
}
