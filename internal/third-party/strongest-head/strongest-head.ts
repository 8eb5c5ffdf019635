import { bridge } from '@attune/attention'
import { type GqaConfig, type MhaConfig, pickHeads } from '@attune/attention-heads'
import { decoded } from '@attune/nn'

/** Of each group of key-value heads, keeps the one whose keys are longest for white inputs; its values come along. */
export const strongest = bridge<MhaConfig, GqaConfig>({
  name: 'strongest',
  from: 'mha',
  to: 'gqa',
  exactness: 'approximate',
  why: ({ from, to }) => (to.headMap || from.heads % to.kvHeads !== 0 ? 'groups must be contiguous and equal' : undefined),
  config: (from, wish) => ({ ...from, kvHeads: wish.kvHeads ?? from.heads }),
  async params({ from: { heads, headDim }, to: { kvHeads }, params, report }) {
    const [k, v] = ['k', 'v'].map(name => params.get(name)!)
    const rows = await decoded(k.weight)
    const size = rows.length / heads
    const energy = Array.from({ length: heads }, (_, h) => rows.subarray(h * size, (h + 1) * size).reduce((n, x) => n + x * x, 0))
    const group = heads / kvHeads
    const kept = Array.from({ length: kvHeads }, (_, g) => {
      const own = Array.from({ length: group }, (_, i) => g * group + i)
      return own.reduce((best, h) => (energy[h] > energy[best] ? h : best))
    })
    const total = energy.reduce((a, b) => a + b, 0)
    report?.({ keptEnergy: kept.reduce((n, h) => n + energy[h], 0) / total })
    return new Map(params).set('k', pickHeads(k, kept, headDim)).set('v', pickHeads(v, kept, headDim))
  },
})
