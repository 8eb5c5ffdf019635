import { type Exactness, numbersPerToken } from '@attune/attention'
import { type LayerSpec, type Model, type Variants, variantOf } from '@attune/models'
import { bytesOf, type Storage } from '@attune/tensor'

/** What became of one layer. */
export interface LayerReport {
  readonly layer: number
  readonly from: LayerSpec['attention']['variant']
  readonly to: string
  readonly config: Readonly<Record<string, unknown>>
  /** Bridges taken. */
  readonly path: readonly string[]
  readonly exactness: Exactness
  /** ‖Δ‖ / ‖source‖ of the attention's output on held-out tokens, given the same inputs. */
  readonly error?: number
  /** What the bridges say of themselves, such as the share of energy dropped. */
  readonly figures: Readonly<Record<string, number>>
}

export interface ConversionReport {
  readonly layers: readonly LayerReport[]
  /** The least exact class of any layer. */
  readonly exactness: Exactness
  /** Bytes of keys and values per token over all layers, at the element type asked for. */
  readonly kvBytesPerToken: { readonly before: number; readonly after: number }
  /** That element type. */
  readonly kv: string
  readonly seed: number
  readonly sequential: boolean
  readonly calibrationTokens: number
  readonly heldOutTokens: number
  readonly seconds: number
}

/** Bytes a layer keeps per token. */
export const layerKvBytes = (layer: LayerSpec, variants: Variants, kv: Storage): number =>
  bytesOf(kv, numbersPerToken(variantOf(variants, layer).state(layer.attention.config)))

export const kvBytesPerToken = ({ spec, variants }: Pick<Model, 'spec' | 'variants'>, kv: Storage): number =>
  spec.layers.reduce((n, l) => n + layerKvBytes(l, variants, kv), 0)

/** Mean relative error over the converted layers; undefined when none was measured. */
export function meanError({ layers }: Pick<ConversionReport, 'layers'>): number | undefined {
  const errors = layers.flatMap(l => (l.error === undefined ? [] : [l.error]))
  return errors.length > 0 ? errors.reduce((a, b) => a + b, 0) / errors.length : undefined
}
