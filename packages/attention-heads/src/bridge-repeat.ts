import type { Method } from './bridge-parts.ts'
import { originsOf } from './head-layout.ts'
import { named, pickHeads } from './head-mix.ts'

/** Each target head is a copy of the source head its queries read. Weights stay as they are stored, packed or not. */
export const repeat: Method = {
  name: 'repeat',
  exactness: 'exact',
  keepsOthers: true,
  why(from, to) {
    const origins = originsOf(from, to)
    return typeof origins === 'string' ? origins : undefined
  },
  async params(from, to, { params }) {
    const origins = originsOf(from, to) as number[]
    const { k, v } = named(params)
    return new Map([...params, ['k', pickHeads(k, origins, from.headDim)], ['v', pickHeads(v, origins, from.headDim)]])
  },
}
