import type { Past, RowsKind, Segment } from '@attune/attention'
import { AttuneError } from '@attune/tensor'
import { type Keeper, ownRows, type RowsView } from './keeper.ts'
import type { CacheManager } from './manager.ts'
import { turning } from './quantised-graph.ts'

/**
 * A cache whose rows are turned by Hadamard matrices while they are stored, so that a packed `kv` type loses less of numbers that stand
 * out. Queries are turned alike and results back: attention is the same. Ashkboos et al. 2024, https://arxiv.org/abs/2404.00456
 */
export function turned(manager: CacheManager): CacheManager {
  const { observes, rerotate, name } = manager.policy ?? {}
  if (rerotate || observes?.queries || observes?.parts)
    throw new AttuneError('ERR_UNSUPPORTED', `policy '${name}' reads or moves stored rows: they cannot be turned`, { policy: name })
  return {
    ...manager,
    name: `${manager.name}, turned`,
    about: { ...manager.about, title: `${manager.about.title}, turned by Hadamard matrices` },
    open(options) {
      const keeper = manager.open(options)
      const graph: Keeper['graph'] = (tokens, effects, observe) => {
        const viewOf = keeper.graph(tokens, effects, observe)
        return layer => turnedView(viewOf(layer), Object.fromEntries(ownRows(options.layers[layer].spec)))
      }
      return new Proxy(keeper, {
        get(target, name) {
          if (name === 'graph') return graph
          const value = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
}

function turnedView(view: RowsView, kinds: Readonly<Record<string, RowsKind>>): RowsView {
  const turn = turning(kinds)
  const segment = <S extends Segment>(s: S): S => ({ ...s, turn, turnBack: turn })
  return {
    append(values) {
      const past = view.append(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, turn(name, value)])))
      return {
        ...segment<Past>(past),
        more: past.more?.map(segment),
        at: (part, batch, row) => turn(part, past.at(part, batch, row)),
        dense: part => turn(part, past.dense(part)),
      }
    },
    rewrite: (part, value) => view.rewrite(part, turn(part, value)),
  }
}
