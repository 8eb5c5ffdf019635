import { AttuneError } from '@attune/tensor'
import type { GqaConfig } from './gqa.ts'
import { checkMap, configOf, type HeadLayout, headLayout, mapTo } from './head-layout.ts'

/** A variant of this family as a special case of grouped-query attention. */
export interface Member {
  readonly name: string
  /** Its config as grouped-query attention. */
  read(config: any): GqaConfig
  /** Its config for a source layer and the caller's wishes. Errors: `ERR_ARGUMENT` for wishes it cannot have. */
  wish(from: GqaConfig, wish: Readonly<Record<string, unknown>>): unknown
}

const fixed = (name: string, count: (c: GqaConfig) => number): Member => ({
  name,
  read: c => ({ ...c, kvHeads: count(c) }),
  wish(from, wish) {
    known(name, wish, from, [])
    const { kvHeads: _, headMap: __, ...rest } = from
    return rest
  },
})

export const members: readonly Member[] = [
  fixed('mha', c => c.heads),
  {
    name: 'gqa',
    read: c => c,
    wish(from, wish) {
      known('gqa', wish, from, ['kvHeads', 'headMap'])
      // A whole config may be wished for in which only kvHeads is new.
      const own = wish.headMap === from.headMap && wish.kvHeads !== undefined && wish.kvHeads !== from.kvHeads
      if (wish.headMap !== undefined && !own) {
        const map = checkMap(wish.headMap as number[], from.heads)
        if (wish.kvHeads !== undefined && wish.kvHeads !== Math.max(...map) + 1)
          throw new AttuneError('ERR_ARGUMENT', `kvHeads ${wish.kvHeads} and headMap [${map.join(', ')}] do not agree`, { ...wish })
        return configOf(from, map)
      }
      if (wish.kvHeads === undefined)
        throw new AttuneError('ERR_ARGUMENT', "conversion to 'gqa' needs kvHeads or headMap in its config", { wish })
      return configOf(from, mapTo(headLayout(from), wish.kvHeads as number))
    },
  },
  fixed('mqa', () => 1),
]

/** The heads of a variant of this family; undefined for other variants. */
export function headsOf(variant: string, config: unknown): HeadLayout | undefined {
  const member = members.find(m => m.name === variant)
  return member && headLayout(member.read(config))
}

function known(name: string, wish: Readonly<Record<string, unknown>>, from: GqaConfig, keys: readonly string[]): void {
  for (const [key, value] of Object.entries(wish)) {
    if (keys.includes(key) || value === undefined || value === (from as unknown as Record<string, unknown>)[key]) continue
    throw new AttuneError(
      'ERR_ARGUMENT',
      `a conversion to '${name}' cannot set ${key} to ${JSON.stringify(value)}; it may set ${keys.join(', ') || 'nothing'}`,
      { key, value },
    )
  }
}
