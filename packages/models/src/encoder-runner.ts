import { bucket, windowStates } from '@attune/cache'
import { table, variable } from '@attune/expr'
import { type RopeSpec, ropeFrequencies } from '@attune/position'
import { Arena, AttuneError, copyOf, type Device, type Graph, length, mapExpr, type Recording, record, tensor } from '@attune/tensor'
import { type EncoderModel, type EncoderResult, encoder } from './encoder.ts'
import { type EncoderFeed, inputKind } from './encoder-input.ts'
import { variantOf } from './layers.ts'
import { stepTokens } from './step-graph.ts'
import { type EncoderGiven, type EncoderReaders, encoderItems } from './transformers-js.ts'

/** What an encoder's run gives. `key` names it among recordings. */
export interface EncoderProbe {
  readonly key: string
  build(result: EncoderResult): Graph['outputs']
}

/** Final states of every token: output `final` (N, dim), item after item. */
export const finalStates: EncoderProbe = { key: 'final', build: r => ({ final: r.final }) }
/** Output `head`: what the head makes of each item (B, size), or of each token (N, size). */
export const headOutput: EncoderProbe = { key: 'head', build: r => ({ head: headOf(r) }) }
/** Hidden states as transformers lists them: outputs `hidden.0` embeddings, `hidden.i` after layer i; `final`, and `head` where there is one. */
export const encoderStates: EncoderProbe = {
  key: 'states',
  build: ({ hidden, final, head }) => ({
    ...Object.fromEntries(hidden.map((t, i) => [`hidden.${i}`, copyOf(t)])),
    final: copyOf(final),
    ...(head ? { head } : {}),
  }),
}

/** Runs an encoder on one device: each run reads whole sequences, flat and without padding, and keeps nothing. */
export class Encoder {
  readonly #recordings = new Map<string, Promise<Recording>>()
  readonly #arena: Arena
  #turn: Promise<unknown> = Promise.resolve()
  /** How many graphs were recorded, for tests and profiles. */
  recorded = 0
  constructor(
    readonly model: EncoderModel,
    readonly device: Device,
    readonly readers: EncoderReaders = {},
  ) {
    this.#arena = new Arena(device)
  }

  /**
   * Reads items, and `use` their results before another run may overwrite them; `counts` are the tokens of each. Errors: `ERR_ARGUMENT`
   * for an item that the model does not read.
   */
  run<T>(
    items: EncoderGiven,
    probe: EncoderProbe,
    use: (r: Recording, counts: readonly number[]) => T | Promise<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const turn = this.#turn.then(async () => {
      const { counts, recording } = await this.#step(items, probe, options.signal)
      return use(recording, counts)
    })
    this.#turn = turn.catch(() => {})
    return turn
  }
  /** Final states (tokens, dim) of each item. */
  states(items: EncoderGiven, options?: { readonly signal?: AbortSignal }): Promise<Float32Array[]> {
    return this.run(
      items,
      finalStates,
      async (r, counts) => rowsOf((await r.read('final')).data as Float32Array, counts, this.model.spec.dim),
      options,
    )
  }

  async dispose(): Promise<void> {
    await this.#turn
    for (const r of this.#recordings.values()) (await r).dispose()
    this.#recordings.clear()
    this.#arena.dispose()
  }

  async #step(given: EncoderGiven, probe: EncoderProbe, signal?: AbortSignal) {
    const { spec } = this.model
    const items = await encoderItems(given, this.readers)
    const feed = inputKind(spec.input).feed(items, spec.input)
    const { counts } = feed
    const empty = counts.indexOf(0)
    if (items.length === 0 || empty >= 0)
      throw new AttuneError('ERR_ARGUMENT', items.length === 0 ? 'there is nothing to encode' : `item ${empty} has no tokens`, {})
    const count = counts.reduce((a, b) => a + b, 0)
    const shape = { tokens: bucket(count, 8), rows: bucket(Math.max(...counts), 8), batchRows: bucket(counts.length, 1) }
    const recording = await this.#recording(shape, feed, probe)
    await recording.run({ lengths: { tokens: count }, inputs: inputsOf(feed, shape.batchRows), signal })
    return { counts, recording }
  }

  #recording(shape: EncoderShape, { inputs }: EncoderFeed, probe: EncoderProbe): Promise<Recording> {
    const widths = Object.fromEntries(Object.entries(inputs).map(([name, { width }]) => [name, width]))
    const key = JSON.stringify([shape, widths, probe.key])
    let r = this.#recordings.get(key)
    if (!r) {
      this.recorded++
      const outputs = probe.build(encoderGraph(this.model, shape, widths))
      r = record(this.device, { outputs }, { arena: this.#arena })
      r.catch(() => this.#recordings.delete(key))
      this.#recordings.set(key, r)
    }
    return r
  }
}

/** Capacities of a run: tokens in all, tokens of one sequence, sequences. */
interface EncoderShape {
  readonly tokens: number
  readonly rows: number
  readonly batchRows: number
}

function encoderGraph(
  model: EncoderModel,
  { tokens: most, rows, batchRows }: EncoderShape,
  widths: Readonly<Record<string, number>>,
): EncoderResult {
  const { spec, variants } = model
  const tokens = stepTokens(length('tokens', most), batchRows)
  const states = windowStates(tokens, [], { rows })
  const kinds = spec.layers.map(layer => variantOf(variants, layer).state(layer.attention.config))
  const b = variable('i0', 'i32')
  const offset = (i: typeof b) => table(tokens.offsets, { dtype: 'i32', rank: 1 }).at(i)
  return encoder(model, {
    embed: params => inputKind(spec.input).embed(params, spec.input, tokens.count, widths, tokens.position),
    position: tokens.position,
    rope: (rope: RopeSpec) => {
      const { values, factor } = ropeFrequencies(rope, rows)
      return { frequencies: tensor(values, [values.length]), factor }
    },
    first: mapExpr(offset(b.add(1)).gt(offset(b)).select(offset(b), -1), [], { dtype: 'i32', shape: [batchRows] }),
    state: (layer, params) => states(layer, kinds[layer], params),
  })
}

function inputsOf({ counts, inputs }: EncoderFeed, batchRows: number): Record<string, Int32Array | Float32Array> {
  const total = counts.reduce((a, b) => a + b, 0)
  const batch = new Int32Array(total)
  const row = new Int32Array(total)
  const offsets = new Int32Array(batchRows + 1).fill(total)
  let at = 0
  for (const [b, n] of counts.entries()) {
    offsets[b] = at
    for (let i = 0; i < n; i++, at++) {
      batch[at] = b
      row[at] = i
    }
  }
  return { batch, row, position: row, offsets, ...Object.fromEntries(Object.entries(inputs).map(([name, { data }]) => [name, data])) }
}

/** Rows of each item, from those of all (N, width). */
export function rowsOf(all: Float32Array, counts: readonly number[], width: number): Float32Array[] {
  let from = 0
  return counts.map(n => all.slice(from * width, (from += n) * width))
}

function headOf({ head }: EncoderResult) {
  if (!head) throw new AttuneError('ERR_UNSUPPORTED', 'this encoder has no head: it gives final states', {})
  return head
}
