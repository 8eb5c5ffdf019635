import { variable } from '@attune/expr'
import type { Probe, Runner } from '@attune/models'
import { AttuneError, copyOf, mapExpr, mapWith, max, sum, topkOf } from '@attune/tensor'
import type { LogitDifference } from './logit-difference.ts'
import { logSumExp } from './token-loss.ts'

/** How two models differ on the same text. `a` is the source, `b` the changed one. */
export interface TwinReport extends LogitDifference {
  /** Relative error of the attention output of each layer, ‖b − a‖ / ‖a‖, over the text. */
  readonly layerErrors: readonly number[]
}

/** Runs `a` and `b` on the same tokens and measures the difference. */
export async function twin(
  a: Runner,
  b: Runner,
  ids: ArrayLike<number>,
  options: { signal?: AbortSignal; onProgress?(done: number, total: number): void } = {},
): Promise<TwinReport> {
  if (a.model.spec.vocab !== b.model.spec.vocab)
    throw new AttuneError('ERR_ARGUMENT', `the models have vocabularies of ${a.model.spec.vocab} and ${b.model.spec.vocab} tokens`, {})
  const layers = Math.min(a.model.spec.layers.length, b.model.spec.layers.length)
  const chunk = Math.min(a.chunk, b.chunk)
  const kl: number[] = []
  let largest = 0
  let agree = 0
  let first = -1
  const error = new Float64Array(layers)
  const norm = new Float64Array(layers)
  const sa = a.open()
  const sb = b.open()
  try {
    for (let from = 0; from < ids.length; from += chunk) {
      const piece = Array.prototype.slice.call(ids, from, from + chunk) as number[]
      const source = await a.turn(
        [{ sequence: sa, ids: piece, span: ids.length }],
        sourceProbe(layers),
        async r => ({ logits: (await r.read('logits')).data as Float32Array, layers: await readLayers(r, layers) }),
        options,
      )
      await b.turn(
        [{ sequence: sb, ids: piece, span: ids.length }],
        againstProbe(layers),
        async r => {
          const [d, m, x, y] = await Promise.all(['kl', 'difference', 'best', 'bestSource'].map(n => r.read(n)))
          for (let i = 0; i < piece.length; i++) {
            kl.push(Math.max(0, d.data[i]))
            largest = Math.max(largest, m.data[i])
            if (x.data[i] === y.data[i]) agree++
            else if (first < 0) first = from + i
          }
          const own = await readLayers(r, layers)
          for (let l = 0; l < layers; l++) addError(own[l], source.layers[l], l, error, norm)
        },
        { ...options, inputs: { source: source.logits } },
      )
      options.onProgress?.(from + piece.length, ids.length)
    }
  } finally {
    a.close(sa)
    b.close(sb)
  }
  return {
    tokens: kl.length,
    kl: Float32Array.from(kl),
    meanKl: kl.reduce((x, y) => x + y, 0) / kl.length,
    maxKl: Math.max(...kl),
    maxLogitDifference: largest,
    topAgreement: agree / kl.length,
    firstDivergence: first,
    layerErrors: Array.from(error, (e, l) => Math.sqrt(e / Math.max(norm[l], 1e-30))),
  }
}

const layerOutputs = (count: number, outputs: readonly import('@attune/tensor').Tensor[]) =>
  Object.fromEntries(outputs.slice(0, count).map((t, i) => [`layer.${i}`, copyOf(t)]))

const sourceProbe = (layers: number): Probe => ({
  key: `twin-source${layers}`,
  build: d => ({ outputs: { logits: d.logits(), ...layerOutputs(layers, d.attentionOutputs) } }),
})

const againstProbe = (layers: number): Probe => ({
  key: `twin${layers}`,
  build(d, io) {
    const own = d.logits() // (N, V)
    const source = io.input('source', 'f32', own.shape)
    const [la, lb] = [logSumExp(source), logSumExp(own)]
    const x = ['x0', 'x1', 'x2', 'x3'].map(n => variable(n, 'f32'))
    const logP = x[0].sub(x[2])
    const kl = sum(mapExpr(logP.exp().mul(logP.sub(x[1].sub(x[3]))), [source, own, la, lb]))
    const difference = max(mapWith((p, q) => p.sub(q).abs(), [source, own]))
    return {
      outputs: {
        kl,
        difference,
        best: topkOf(own, 1).indices,
        bestSource: topkOf(source, 1).indices,
        ...layerOutputs(layers, d.attentionOutputs),
      },
    }
  },
})

const readLayers = async (
  r: { read(name: string): Promise<{ data: ArrayLike<number> }> },
  layers: number,
): Promise<ArrayLike<number>[]> => {
  const out: ArrayLike<number>[] = []
  for (let l = 0; l < layers; l++) out.push((await r.read(`layer.${l}`)).data)
  return out
}

function addError(own: ArrayLike<number>, source: ArrayLike<number>, layer: number, error: Float64Array, norm: Float64Array): void {
  for (let i = 0; i < source.length; i++) {
    error[layer] += (own[i] - source[i]) ** 2
    norm[layer] += source[i] ** 2
  }
}
