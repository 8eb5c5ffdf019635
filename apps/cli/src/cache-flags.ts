import { type CacheManager, contiguous, evicting, paged, quantised, ring, think } from '@attune/cache'
import { AttuneError, q8_0, type Storage } from '@attune/tensor'
import { policies } from 'attune'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { finite } from './numbers.ts'

const caches = { contiguous, ring, paged, think }
const stored: Record<string, Storage> = { f32: 'f32', f16: 'f16', bf16: 'bf16', q8_0 }
const coded: Record<string, 4 | 8> = { int8: 8, int4: 4 }

/** Flags of everything that keeps a past. */
export const addCache = (c: Command): Command =>
  c
    .addOption(new Option('--cache <name>', 'how keys and values are kept (default: a ring where exact)').choices(Object.keys(caches)))
    .addOption(new Option('--kv <type>', 'what keys and values are kept as').choices([...Object.keys(stored), ...Object.keys(coded)]))
    .addOption(new Option('--policy <name>', 'drop rows of the prompt by this policy').choices(policies.map(p => p.name)))
    .option('--budget <x>', 'what a policy keeps: rows per key head, or below 1 a share of them', budget, 0.25)

export function cacheOf(o: Record<string, any>): { readonly cache?: CacheManager; readonly kv?: Storage } {
  const { cache, kv } = o as { cache?: keyof typeof caches; kv?: string }
  const policy = policies.find(p => p.name === o.policy)
  const bits = kv === undefined ? undefined : coded[kv]
  if (bits && cache) throw wrong(`--kv ${kv} is a cache of its own: it goes without --cache`)
  // Rows that are not coded yet are few; a policy sees all of a prompt's as they are.
  if (bits) return { cache: policy ? evicting(policy, { rows: o.budget }, { packed: { bits } }) : quantised({ bits }), kv: 'f16' }
  if (policy && cache && cache !== 'paged') throw wrong(`a policy evicts pages: --cache ${cache} has none`)
  const manager = policy ? evicting(policy, { rows: o.budget }) : cache && caches[cache]()
  return { ...(manager && { cache: manager }), ...(kv !== undefined && { kv: stored[kv] }) }
}

const wrong = (what: string): AttuneError => new AttuneError('ERR_ARGUMENT', what, {})

function budget(text: string): number {
  const n = finite(text)
  if (n <= 0 || (n >= 1 && !Number.isInteger(n))) throw new InvalidArgumentError('must be a share below 1 or a whole number of rows')
  return n
}
