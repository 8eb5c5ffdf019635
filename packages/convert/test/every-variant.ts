import { isVariant, type Variant } from '@attune/attention'
import * as heads from '@attune/attention-heads'
import * as latent from '@attune/attention-latent'
import * as linear from '@attune/attention-linear'
import * as mixing from '@attune/attention-mixing'
import * as sparse from '@attune/attention-sparse'

/** Every attention variant there is, by name. */
export const everyVariant: ReadonlyMap<string, Variant> = new Map(
  [heads, latent, linear, mixing, sparse].flatMap(family => Object.values(family).filter(isVariant)).map(v => [v.name, v]),
)
