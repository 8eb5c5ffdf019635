import { type CacheManager, evicting } from '@attune/cache'
import { policies } from 'attune'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { finite } from './numbers.ts'

/** Flags of everything that keeps a past. */
export const addCache = (c: Command): Command =>
  c
    .addOption(new Option('--policy <name>', 'drop rows of the prompt by this policy').choices(policies.map(p => p.name)))
    .option('--budget <x>', 'what a policy keeps: rows per key head, or below 1 a share of them', budget, 0.25)

export function cacheOf(o: Record<string, any>): { readonly cache?: CacheManager } {
  const policy = policies.find(p => p.name === o.policy)
  return policy ? { cache: evicting(policy, { rows: o.budget }) } : {}
}

function budget(text: string): number {
  const n = finite(text)
  if (n <= 0 || (n >= 1 && !Number.isInteger(n))) throw new InvalidArgumentError('must be a share below 1 or a whole number of rows')
  return n
}
