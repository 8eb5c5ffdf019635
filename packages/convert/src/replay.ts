import type { Model } from '@attune/models'
import { underPrefix } from '@attune/nn'
import { AttuneError, type Device } from '@attune/tensor'
import { breathe } from './breathe.ts'
import { HEAD_ROWS, LayerRunner } from './layer-graph.ts'
import { memoryStream, type StreamStore } from './stream.ts'

/** How a model differs from its source on some text. */
export interface Replayed {
  readonly tokens: number
  /** ‖Δ‖ / ‖source‖ of the attention's output, given the source's inputs, of the layers asked for. */
  readonly errors: readonly { readonly layer: number; readonly error: number }[]
  /** Mean KL(source ‖ made) of the next token, nats. */
  readonly meanKl: number
  readonly maxKl: number
  readonly perplexity: { readonly before: number; readonly after: number }
}

export interface ReplayOptions {
  readonly device: Device
  /** Token ids of independent windows. */
  readonly windows: readonly Int32Array[]
  /** Layers whose errors are measured. */
  readonly layers: readonly number[]
  /** Holds both streams; in memory by default. */
  readonly spill?: StreamStore
  readonly signal?: AbortSignal
  onLayer?(layer: number): void
}

/** Runs two models of as many layers beside each other, a layer of each at a time: no more than that is in memory. */
export async function replay(source: Model, made: Model, options: ReplayOptions): Promise<Replayed> {
  const { device, windows, layers, signal } = options
  const count = source.spec.layers.length
  if (made.spec.layers.length !== count || made.spec.vocab !== source.spec.vocab || made.spec.dim !== source.spec.dim)
    throw new AttuneError('ERR_ARGUMENT', 'the models have different layers, width or vocabulary: they cannot be run beside each other', {
      layers: [count, made.spec.layers.length],
    })
  const longest = Math.max(1, ...windows.map(w => w.length))
  const [a, b] = [source, made].map(model => new LayerRunner(model, device, longest, signal))
  const stream = options.spill ?? memoryStream()
  const beside = windows.length
  const errors: Replayed['errors'][number][] = []
  try {
    await a.embed(windows, (w, x) => stream.put(w, x))
    await b.embed(windows, (w, x) => stream.put(beside + w, x))
    await stream.turn()
    for (let layer = 0; layer < count; layer++) {
      options.onLayer?.(layer)
      const measured = layers.includes(layer)
      let [off, all] = [0, 0]
      await layerOf(a, layer, runA =>
        layerOf(b, layer, async runB => {
          for (let w = 0; w < windows.length; w++) {
            const [x, y] = [await stream.get(w), await stream.get(beside + w)]
            const want = await runA(x)
            if (measured) {
              const { mixed } = await runB(x)
              for (let i = 0; i < mixed.length; i++) {
                off += (mixed[i] - want.mixed[i]) ** 2
                all += want.mixed[i] ** 2
              }
            }
            await stream.put(w, want.output)
            await stream.put(beside + w, (await runB(y)).output)
            await breathe(signal)
          }
        }),
      )
      await stream.turn()
      if (measured) errors.push({ layer, error: all > 0 ? Math.sqrt(off / all) : 0 })
    }
    return { errors, ...(await compared(a, b, stream, options)) }
  } finally {
    a.dispose()
    b.dispose()
    if (!options.spill) await stream.close()
  }
}

type Run = (x: Float32Array) => Promise<{ mixed: Float32Array; output: Float32Array }>
const layerOf = (runner: LayerRunner, layer: number, use: (run: Run) => Promise<void>): Promise<void> =>
  runner.layer(runner.model.spec.layers[layer], underPrefix(runner.model.values, `layers.${layer}`), ['mixed', 'output'], use)

async function compared(
  a: LayerRunner,
  b: LayerRunner,
  stream: StreamStore,
  { windows, signal }: ReplayOptions,
): Promise<Omit<Replayed, 'errors'>> {
  const { dim, vocab } = a.model.spec
  let [tokens, kl, maxKl, predicted, before, after] = [0, 0, 0, 0, 0, 0]
  await a.head(headA =>
    b.head(async headB => {
      for (const [w, ids] of windows.entries()) {
        const [x, y] = [await stream.get(w), await stream.get(windows.length + w)]
        for (let from = 0; from < ids.length; from += HEAD_ROWS) {
          const to = Math.min(ids.length, from + HEAD_ROWS)
          const [p, q] = [await headA(x.subarray(from * dim, to * dim)), await headB(y.subarray(from * dim, to * dim))]
          for (let t = from; t < to; t++) {
            const [s, m] = [p, q].map(l => l.subarray((t - from) * vocab, (t - from + 1) * vocab))
            const [ls, lm] = [logSum(s), logSum(m)]
            let own = 0
            for (let v = 0; v < vocab; v++) own += Math.exp(s[v] - ls) * (s[v] - ls - (m[v] - lm))
            kl += Math.max(0, own)
            maxKl = Math.max(maxKl, own)
            tokens++
            if (t + 1 >= ids.length) continue
            before += ls - s[ids[t + 1]]
            after += lm - m[ids[t + 1]]
            predicted++
          }
          await breathe(signal)
        }
      }
    }),
  )
  const n = Math.max(1, predicted)
  return { tokens, meanKl: kl / Math.max(1, tokens), maxKl, perplexity: { before: Math.exp(before / n), after: Math.exp(after / n) } }
}

function logSum(x: Float32Array): number {
  const top = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - top)
  return top + Math.log(sum)
}
