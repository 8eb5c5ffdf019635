import type { Calibration } from '@attune/attention'
import { gram as addGram, type Matrix, matrix } from '@attune/linalg'
import type { LayerSpec, Model } from '@attune/models'
import { type ParamValues, underPrefix } from '@attune/nn'
import type { Device } from '@attune/tensor'
import { breathe, PIECE } from './breathe.ts'
import { LayerRunner } from './layer-graph.ts'
import { memoryStream, type StreamStore } from './stream.ts'

/** Another form of a layer. `values` are the layer's own, by their path inside it (`attention.q`). */
export interface LayerForm {
  readonly layer: LayerSpec
  readonly values: ParamValues
}

/** A layer on the way through the model. */
export interface Visit extends LayerForm {
  readonly index: number
  /** Second moments of the attention's inputs, where the visit asked for them. */
  readonly calibration?: Calibration
  readonly calibrationTokens: number
  /**
   * Attention outputs (tokens, dim) of each calibration window, of the source and of other forms, given the source's inputs; only
   * where the visit asked to `compare`.
   */
  eachCalibration(forms: readonly LayerForm[], use: (source: Float32Array, others: readonly Float32Array[]) => Promise<void>): Promise<void>
  /** ‖output − source's output‖ / ‖source's output‖ of the attention on held-out tokens, given the source's inputs. */
  measure(form: LayerForm): Promise<number>
}

export interface Needs {
  readonly calibrate: boolean
  readonly compare: boolean
}

export interface WalkOptions {
  readonly device: Device
  /** Token ids of independent windows. */
  readonly calibration: readonly Int32Array[]
  readonly heldOut: readonly Int32Array[]
  /** Layers to visit: whether each needs second moments, and outputs to compare with. Layers after the last are not run. */
  readonly layers: ReadonlyMap<number, Needs>
  readonly spill?: StreamStore
  /** First layer to run; `spill` holds the stream before it. 0 by default: then it begins with the embeddings. */
  readonly from?: number
  readonly signal?: AbortSignal
  onLayer?(index: number): void
  /** A layer is done, and the stream after it is what the store gives now. */
  onDone?(index: number): Promise<void>
}

/**
 * Runs the layers once, all windows through a layer before the next: one layer's weights, one window, one Gram matrix and the stream
 * are held. Where `visit` returns another form of the layer, the stream goes on through that form.
 */
export async function walk(model: Model, options: WalkOptions, visit: (v: Visit) => Promise<LayerForm | undefined>): Promise<void> {
  const { calibration, heldOut, layers, signal } = options
  const windows = [...calibration, ...heldOut]
  const store = options.spill ?? memoryStream()
  const runner = new LayerRunner(model, options.device, Math.max(1, ...windows.map(w => w.length)), signal)
  try {
    if (!options.from) {
      await runner.embed(windows, (i, x) => store.put(i, x))
      await store.turn()
    }
    for (let index = options.from ?? 0; index <= Math.max(...layers.keys()); index++) {
      options.onLayer?.(index)
      const own = { layer: model.spec.layers[index], values: underPrefix(model.values, `layers.${index}`) }
      await walkLayer(runner, store, { ...options, index, own }, visit)
      await store.turn()
      await options.onDone?.(index)
    }
  } finally {
    runner.dispose()
    if (!options.spill) await store.close()
  }
}

async function walkLayer(
  runner: LayerRunner,
  store: StreamStore,
  { calibration, heldOut, layers, signal, index, own }: WalkOptions & { index: number; own: LayerForm },
  visit: (v: Visit) => Promise<LayerForm | undefined>,
): Promise<void> {
  const todo = layers.get(index)
  const next = async (run: (x: Float32Array) => Promise<{ output: Float32Array }>) => {
    for (let w = 0; w < calibration.length + heldOut.length; w++) await store.put(w, (await run(await store.get(w))).output)
  }
  if (!todo) return runner.layer(own.layer, own.values, ['output'], next)
  let goOn: LayerForm | undefined
  await runner.layer(own.layer, own.values, ['input', 'mixed', 'output'], async run => {
    const { dim } = runner.model.spec
    const moments = todo.calibrate ? new Moments(dim) : undefined
    for (let w = 0; w < calibration.length; w++) {
      const { input, mixed, output } = await run(await store.get(w))
      await moments?.add(input, signal)
      if (todo.compare) await store.note(w, mixed)
      await store.put(w, output)
    }
    for (let w = calibration.length; w < calibration.length + heldOut.length; w++) {
      const { mixed, output } = await run(await store.get(w))
      await store.note(w, mixed)
      await store.put(w, output)
    }
    const measure = async (form: LayerForm): Promise<number> => {
      let [off, all] = [0, 0]
      await runner.layer(form.layer, form.values, ['mixed'], async other => {
        for (let w = calibration.length; w < calibration.length + heldOut.length; w++) {
          const want = await store.noted(w)
          const got = (await other(await store.get(w))).mixed
          for (let i = 0; i < want.length; i++) {
            off += (got[i] - want[i]) ** 2
            all += want[i] ** 2
          }
        }
      })
      return all > 0 ? Math.sqrt(off / all) : 0
    }
    const eachCalibration: Visit['eachCalibration'] = (forms, use) =>
      runner.layers(forms, ['mixed'], async others => {
        for (let w = 0; w < calibration.length; w++) {
          const x = await store.get(w)
          const made: Float32Array[] = []
          for (const other of others) made.push((await other(x)).mixed)
          await use(await store.noted(w), made)
        }
      })
    const calibrationTokens = calibration.reduce((n, ids) => n + ids.length, 0)
    goOn = await visit({ ...own, index, calibration: moments?.done(), calibrationTokens, eachCalibration, measure })
  })
  if (goOn) await runner.layer(goOn.layer, goOn.values, ['output'], next)
}

/** Σ [x 1]ᵀ[x 1] in float64. */
class Moments {
  readonly #sum: Matrix
  #tokens = 0
  constructor(readonly dim: number) {
    this.#sum = matrix(dim + 1, dim + 1)
  }
  async add(x: Float32Array, signal?: AbortSignal): Promise<void> {
    const { dim } = this
    const tokens = x.length / dim
    for (let from = 0; from < tokens; from += PIECE) {
      const rows = Math.min(PIECE, tokens - from)
      const data = new Float32Array(rows * (dim + 1)).fill(1)
      for (let r = 0; r < rows; r++) data.set(x.subarray((from + r) * dim, (from + r + 1) * dim), r * (dim + 1))
      addGram({ rows, cols: dim + 1, data }, this.#sum)
      await breathe(signal)
    }
    this.#tokens += tokens
  }
  done(): Calibration {
    return { gram: this.#sum.data, tokens: this.#tokens }
  }
}
