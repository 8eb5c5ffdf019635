import type { StepTokens } from '@attune/attention'
import { windowStates } from '@attune/cache'
import { decoderInput, decoderLayer, decoderOutput, type LayerResult, type LayerSpec, type Model, variantOf } from '@attune/models'
import type { ParamValues } from '@attune/nn'
import { type RopeSpec, ropeFrequencies } from '@attune/position'
import {
  Arena,
  AttuneError,
  type Constant,
  copyOf,
  type Device,
  input,
  length,
  type Recording,
  record,
  type Tensor,
  tensor,
} from '@attune/tensor'

/** Most tokens whose logits are made at once. */
export const HEAD_ROWS = 32

export type LayerValue = keyof LayerResult

/** Runs single layers of a model over windows of tokens, each window a sequence of its own. Weights it brought to the device leave with the layer. */
export class LayerRunner {
  readonly #arena: Arena
  constructor(
    readonly model: Model,
    readonly device: Device,
    /** Most tokens of a window. */
    readonly window: number,
    readonly signal?: AbortSignal,
  ) {
    this.#arena = new Arena(device)
  }

  /** Residual stream before the first layer (tokens, dim) of each window of ids. */
  async embed(windows: readonly Int32Array[], use: (window: number, x: Float32Array) => Promise<void>): Promise<void> {
    const { spec, values } = this.model
    const count = length('tokens', this.window)
    const x = decoderInput(spec, values, { ids: input('ids', 'i32', [count]), position: input('position', 'i32', [count]) })
    const tables = weightsOf(new Map([...values].filter(([path]) => path === 'embed' || path.startsWith('embedding.'))))
    await this.#recorded({ x: copyOf(x) }, tables, async r => {
      for (const [i, ids] of windows.entries()) {
        const position = Int32Array.from(ids, (_, p) => p)
        await r.run({ lengths: { tokens: ids.length }, inputs: { ids, position }, signal: this.signal })
        await use(i, (await r.read('x')).data as Float32Array)
      }
    })
  }

  /** Makes the output projection ready; `use` gets a function from some tokens' stream after the last layer (rows, dim) to their logits (rows, vocab). */
  async head(use: (run: (x: Float32Array) => Promise<Float32Array>) => Promise<void>): Promise<void> {
    const { spec, values } = this.model
    const count = length('rows', HEAD_ROWS)
    const logits = decoderOutput(spec, values, input('x', 'f32', [count, spec.dim]))
    const outside = weightsOf(new Map([...values].filter(([path]) => !/^(layers|encoder)\./.test(path))))
    await this.#recorded({ logits: copyOf(logits) }, outside, async r => {
      await use(async x => {
        await r.run({ lengths: { rows: x.length / spec.dim }, inputs: { x }, signal: this.signal })
        return (await r.read('logits')).data as Float32Array
      })
    })
  }

  /** Makes a layer ready; `use` gets a function from the stream before it (tokens, dim) to the values asked for. `values` are the layer's own. */
  async layer<K extends LayerValue>(
    layer: LayerSpec,
    values: ParamValues,
    wanted: readonly K[],
    use: (run: (x: Float32Array) => Promise<Record<K, Float32Array>>) => Promise<void>,
  ): Promise<void> {
    const { spec, variants } = this.model
    const count = length('tokens', this.window)
    const row = input('row', 'i32', [count])
    const batch = input('batch', 'i32', [count])
    const tokens: StepTokens = { count, batchRows: 1, batch, row, position: row, offsets: input('offsets', 'i32', [2]) }
    const states = windowStates(tokens)
    const kept = variantOf(variants, layer).state(layer.attention.config)
    const result = decoderLayer(spec, layer, variants, values, input('x', 'f32', [count, spec.dim]), {
      position: tokens.position,
      rope: this.#rope,
      state: params => states(0, kept, params),
    })
    const outputs = Object.fromEntries(wanted.map(name => [name, copyOf(result[name])]))
    await this.#recorded(outputs, weightsOf(values), async r => {
      await use(async x => {
        const n = x.length / spec.dim
        if (this.signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the conversion was aborted', {}, this.signal.reason)
        const row = Int32Array.from({ length: n }, (_, i) => i)
        const inputs = { x, batch: new Int32Array(n), row, offsets: Int32Array.of(0, n) }
        await r.run({ lengths: { tokens: n }, inputs, signal: this.signal })
        const out = {} as Record<K, Float32Array>
        for (const name of wanted) out[name] = (await r.read(name)).data as Float32Array
        return out
      })
    })
  }

  /** As `layer`, for several forms at once. */
  async layers<K extends LayerValue>(
    forms: readonly { readonly layer: LayerSpec; readonly values: ParamValues }[],
    wanted: readonly K[],
    use: (runs: readonly ((x: Float32Array) => Promise<Record<K, Float32Array>>)[]) => Promise<void>,
  ): Promise<void> {
    const [first, ...rest] = forms
    if (!first) return use([])
    await this.layer(first.layer, first.values, wanted, run => this.layers(rest, wanted, runs => use([run, ...runs])))
  }

  dispose(): void {
    this.#arena.dispose()
  }

  readonly #rope = (spec: RopeSpec) => {
    const { values, factor } = ropeFrequencies(spec, this.window)
    return { frequencies: tensor(values, [values.length]), factor }
  }

  async #recorded(outputs: Record<string, Tensor>, weights: readonly Constant[], use: (r: Recording) => Promise<void>): Promise<void> {
    const { device } = this
    const brought = weights.filter(c => !c.isOn(device))
    let recording: Recording | undefined
    try {
      recording = await record(device, { outputs }, { arena: this.#arena })
      await use(recording)
    } finally {
      recording?.dispose()
      for (const c of brought) await c.release(device)
    }
  }
}

export const weightsOf = (values: ParamValues): Constant[] => [
  ...new Set([...values.values()].flatMap(({ weight, bias }) => (bias ? [weight, bias] : [weight]))),
]
