import { type HeadLayout, headsOf } from '@attune/attention-heads'
import { type DecoderSpec, headsVariant, type LayerSpec, type Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { convert } from './convert.ts'
import type { Plan } from './plan.ts'
import { sameData } from './same-data.ts'

/**
 * The same model with as many key-value heads in every layer as its file format can say in one number: heads are copied (exact) until
 * contiguous equal groups of query heads read one head each, the same count in all layers, the smallest there is. Layers of another kind
 * stay, if they are what the source's config says of them. With `count`, as many as that.
 */
export async function uniform(model: Model, source: DecoderSpec, count?: number): Promise<{ model: Model; kvHeads?: number }> {
  const all = model.spec.layers.map((layer, i) => layoutOf(layer, i, source.layers[i]))
  const layouts = all.filter(l => l !== undefined)
  if (layouts.length === 0) return { model }
  const { heads } = layouts[0]
  const odd = all.findIndex(l => l && l.heads !== heads)
  if (odd > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `layer ${odd} has ${all[odd]!.heads} query heads, layer ${all.indexOf(layouts[0])} has ${heads}: a folder of type '${model.definition.type}' holds one number for all`,
      { layer: odd },
    )
  const fits = (kvHeads: number) =>
    heads % kvHeads === 0 && layouts.every(l => l.map.every((g, h) => g === l.map[h - (h % (heads / kvHeads))]))
  let kvHeads = count ?? 1
  while (!fits(kvHeads)) kvHeads++
  const groups = Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads))
  const to = headsVariant(heads, kvHeads)
  const widen = model.spec.layers.flatMap(({ attention: { variant, config } }, i) => {
    const same = variant === to && !('headMap' in config) && all[i]?.map.every((g, h) => g === groups[h])
    return same || !all[i] ? [] : [i]
  })
  if (widen.length === 0) return { model, kvHeads }
  const plan: Plan = { layers: [{ layers: widen, to, method: 'repeat', ...(to === 'gqa' ? { config: { kvHeads } } : {}) }] }
  return { model: (await convert(model, plan)).model, kvHeads }
}

function layoutOf(own: LayerSpec, layer: number, source: LayerSpec | undefined): HeadLayout | undefined {
  const { variant, config } = own.attention
  const layout = headsOf(variant, config)
  if (layout || sameData(own, source)) return layout
  throw new AttuneError('ERR_UNSUPPORTED', `layer ${layer} uses '${variant}', which a Hugging Face folder of this model type cannot hold`, {
    layer,
    variant,
  })
}
