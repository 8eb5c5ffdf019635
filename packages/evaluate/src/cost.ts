import { numbersPerToken } from '@attune/attention'
import { type DecoderSpec, decoderParams, layerParams, type Variants, variantOf } from '@attune/models'
import { countParams } from '@attune/nn'
import { bytesOf, type Storage } from '@attune/tensor'

export interface LayerCost {
  readonly variant: string
  readonly parameters: number
  /** Bytes a token adds to the layer's cache. */
  readonly kvBytesPerToken: number
}
export interface Cost {
  readonly parameters: number
  readonly kvBytesPerToken: number
  /** Floating-point operations to process one token with `context` tokens before it. */
  readonly flopsPerToken: number
  readonly layers: readonly LayerCost[]
}

/** What a model costs, from its Spec alone. Rows are padded to whole blocks where keys and values are packed. */
export function cost(spec: DecoderSpec, variants: Variants, { kv = 'f32' as Storage, context = 0 } = {}): Cost {
  const layers = spec.layers.map((layer): LayerCost => {
    const state = variantOf(variants, layer).state(layer.attention.config)
    const kvBytesPerToken = Object.values(state).reduce((n, s) => n + s.heads * bytesOf(kv, s.width), 0)
    return { variant: layer.attention.variant, parameters: countParams(layerParams(spec, layer, variants)), kvBytesPerToken }
  })
  const parameters = countParams(decoderParams(spec, variants))
  const matrices = parameters - (spec.tied ? 0 : spec.vocab * spec.dim)
  const mixing = spec.layers.reduce((n, layer) => {
    const { heads, headDim } = layer.attention.config as { heads?: number; headDim?: number }
    const width = heads && headDim ? heads * headDim : numbersPerToken(variantOf(variants, layer).state(layer.attention.config)) / 2
    return n + 4 * width * (context + 1)
  }, 0)
  return { parameters, kvBytesPerToken: layers.reduce((n, l) => n + l.kvBytesPerToken, 0), flopsPerToken: 2 * matrices + mixing, layers }
}
