import { rulesOf } from '@attune/attention'
import { AttuneError } from '@attune/tensor'
import { contiguous } from './contiguous.ts'
import type { CacheManager } from './manager.ts'
import { ThinkKeeper } from './think-keeper.ts'

export interface ThinkOptions {
  /** Share of a key's channels that stays. */
  readonly channels?: number
  /** Last queries of the prompt that say which. */
  readonly window?: number
  /** Latest rows of the prompt whose keys stay whole. */
  readonly recent?: number
  /** The part that holds the keys. */
  readonly keys?: string
}

/**
 * After a prompt, keeps of its keys the channels that its last queries use, a choice of its own for every key head; values, and keys
 * that come later, stay whole. ThinK: https://arxiv.org/abs/2407.21018
 */
export const think = ({ channels = 0.5, window = 32, recent = 32, keys = 'k' }: ThinkOptions = {}): CacheManager => ({
  name: 'think',
  settings: { channels, window, recent },
  about: { title: 'ThinK, channels of keys', paper: 'https://arxiv.org/abs/2407.21018', family: 'channels', oracle: 'kvpress: ThinKPress' },
  why(kind) {
    if (kind.kind === 'pool') return 'pooled rows stand beside whole rows'
    if (kind.kind === 'borrow') return 'a reader in another layer has queries of its own'
    if (kind.kind === 'rows' && kind.reads.length > 0) return `early and late rows are not given out ${kind.reads.join(', ')}`
    const whole = kind.kind === 'rows' && kind.axis === 'self' && rulesOf(kind).quantise === 'never'
    return whole ? 'rows that are rewritten or folded as they leave stay whole' : undefined
  },
  // Until a prompt ends nothing is narrow.
  bytesFor: contiguous().bytesFor,
  open(options) {
    if (!(channels > 0 && channels <= 1))
      throw new AttuneError('ERR_ARGUMENT', `a share of ${channels} of the channels cannot stay`, { channels })
    return new ThinkKeeper(options, { channels, window, recent, keys })
  },
})
