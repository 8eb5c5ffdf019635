import { bridge } from '@attune/attention'
import { AttuneError } from '@attune/tensor'
import type { ElConfig } from './el.ts'

/** Multi-head attention without rotary positions, remembering the layer's inputs: the same weights. */
export const keepInputs = bridge<ElConfig, ElConfig>({
  name: 'keep-inputs',
  from: 'mha',
  to: 'el',
  exactness: 'exact',
  paper: 'https://arxiv.org/abs/2105.04779',
  config: from => from,
  why: ({ rotary, params }) =>
    rotary
      ? 'rotary positions turn keys, and keys made from remembered inputs cannot be turned'
      : [...params.keys()].find(name => !['q', 'k', 'v', 'o'].includes(name)) && 'other parameters than q, k, v and o act on the heads',
  async params(input) {
    const reason = this.why!(input)
    if (reason) throw new AttuneError('ERR_CONVERSION', `mha to el by keep-inputs: ${reason}`, { bridge: 'keep-inputs' })
    return new Map(input.params)
  },
})
