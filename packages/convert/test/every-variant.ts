import type { Variant } from '@attune/attention'
import * as heads from '@attune/attention-heads'
import * as latent from '@attune/attention-latent'
import * as linear from '@attune/attention-linear'
import * as mixing from '@attune/attention-mixing'
import * as sparse from '@attune/attention-sparse'

const isVariant = (x: unknown): x is Variant => typeof x === 'object' && x !== null && 'bridges' in x && 'state' in x && 'forward' in x

/** Every attention variant there is, by name. */
export const everyVariant: ReadonlyMap<string, Variant> = new Map(
  [heads, latent, linear, mixing, sparse].flatMap(family => Object.values(family).filter(isVariant)).map(v => [v.name, v]),
)
