import { headsOf } from '@attune/attention-heads'
import type { LayerSpec, Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { convert } from './convert.ts'
import type { Plan } from './plan.ts'

/**
 * The same model with as many key-value heads in every layer as its file format can say in one number: heads are copied (exact) until
 * contiguous equal groups of query heads read one head each, the same count in all layers, the smallest there is.
 */
export async function uniform(model: Model): Promise<{ model: Model; kvHeads: number }> {
  const layouts = model.spec.layers.map((layer, i) => layoutOf(layer, i))
  const { heads } = layouts[0]
  const odd = layouts.findIndex(l => l.heads !== heads)
  if (odd > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `layer ${odd} has ${layouts[odd].heads} query heads, layer 0 has ${heads}: a folder of type '${model.definition.type}' holds one number for all`,
      { layer: odd },
    )
  const fits = (kvHeads: number) =>
    heads % kvHeads === 0 && layouts.every(l => l.map.every((g, h) => g === l.map[h - (h % (heads / kvHeads))]))
  let kvHeads = 1
  while (!fits(kvHeads)) kvHeads++
  const groups = Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads))
  const to = kvHeads === heads ? 'mha' : kvHeads === 1 ? 'mqa' : 'gqa'
  const widen = model.spec.layers.flatMap(({ attention: { variant, config } }, i) => {
    const same = variant === to && !('headMap' in config) && layouts[i].map.every((g, h) => g === groups[h])
    return same ? [] : [i]
  })
  if (widen.length === 0) return { model, kvHeads }
  const plan: Plan = { layers: [{ layers: widen, to, method: 'repeat', ...(to === 'gqa' ? { config: { kvHeads } } : {}) }] }
  return { model: (await convert(model, plan)).model, kvHeads }
}

function layoutOf({ attention: { variant, config } }: LayerSpec, layer: number) {
  const layout = headsOf(variant, config)
  if (!layout)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `layer ${layer} uses '${variant}', which a Hugging Face folder of this model type cannot hold`,
      {
        layer,
        variant,
      },
    )
  return layout
}
