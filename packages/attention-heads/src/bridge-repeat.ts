import type { Method } from './bridge-parts.ts'
import { originsOf } from './head-layout.ts'
import { named, pickHeads } from './head-mix.ts'
import { overOf } from './head-norm.ts'

/** Each target head is a copy of the source head its queries read. Weights stay as they are stored, packed or not. */
export const repeat: Method = {
  name: 'repeat',
  exactness: 'exact',
  keepsOthers: true,
  why(from, to, { from: config }) {
    const origins = originsOf(from, to)
    if (typeof origins === 'string') return origins
    const copies = new Set(Array.from({ length: from.kvHeads }, (_, g) => origins.filter(o => o === g).length))
    return overOf(config) === 'all' && copies.size > 1
      ? 'keys are normed as one, and heads copied unequally often would weigh more in it'
      : undefined
  },
  async params(from, to, { params, from: config }) {
    const origins = originsOf(from, to) as number[]
    const { k, v } = named(params)
    const own = [...params].filter(([name]) => /^kNorm(\.|$)/.test(name) && overOf(config) !== 'head')
    return new Map([
      ...params,
      ['k', pickHeads(k, origins, from.headDim)],
      ['v', pickHeads(v, origins, from.headDim)],
      ...own.map(([name, gain]) => [name, pickHeads(gain, origins, gain.weight.shape[0] / from.kvHeads)] as const),
    ])
  },
}
