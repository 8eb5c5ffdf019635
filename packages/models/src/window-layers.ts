import type { MaskSpec } from '@attune/attention'
import type { ConfigReader } from './config-reader.ts'

/** A mask of one window for all layers, or of everything before where the config has no window. */
export const windowMask = (size: number | undefined): MaskSpec => (size === undefined ? { kind: 'causal' } : { kind: 'window', size })

/** The kinds of layers that `layer_types` tells apart. */
export type LayerType = 'full_attention' | 'sliding_attention'

/** `layer_types` of a config, or where it has none those that `slides` picks. */
export const slidingLayers = (c: ConfigReader, layers: number, slides: (layer: number) => boolean): LayerType[] =>
  c.layerTypes('layer_types', layers, ['full_attention', 'sliding_attention'], i => (slides(i) ? 'sliding_attention' : 'full_attention'))

/** Masks by kind of layer. Errors: `ERR_FORMAT` where layers slide and the config has no window. */
export function layerMasks(c: ConfigReader, types: readonly LayerType[], size: number | undefined): MaskSpec[] {
  if (size === undefined && types.includes('sliding_attention'))
    throw c.wrong('sliding_window', 'the width of the windows that layer_types asks for', null)
  return types.map(type => windowMask(type === 'sliding_attention' ? size : undefined))
}

/** Masks of models whose windows are switched on by `use_sliding_window`, from layer `max_window_layers` on. */
export function switchedMasks(c: ConfigReader, layers: number): MaskSpec[] {
  const size = c.optionalCount('sliding_window', 4096)
  const used = c.flag('use_sliding_window', false) ? size : undefined
  const first = c.number('max_window_layers', 28, 0)
  return layerMasks(
    c,
    slidingLayers(c, layers, i => used !== undefined && i >= first),
    used,
  )
}
