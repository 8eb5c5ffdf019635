import { attend, defineAttention, type Past, pool, rows, window } from '@attune/attention'
import { type Expr, k, q as query, substitute } from '@attune/expr'
import { array, type Bound, linear } from '@attune/nn'
import { groupedHeads, silu } from '@attune/ops'
import { AttuneError, dense, mapWith, type Tensor } from '@attune/tensor'
import { pickBlocks, slotsOf } from './block-lists.ts'
import { compressedWeights, sharedStrides } from './nsa-select.ts'

/** Sizes of NSA: heads in numbers, blocks and windows in rows. */
export interface NsaConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Rows that one compressed key and value stand for, and rows from one to the next. */
  readonly compress: { readonly size: number; readonly stride: number; readonly hidden: number }
  /** Rows of a block that may be selected; a multiple of `compress.stride`. */
  readonly block: number
  /** Blocks a query reads: the first `first`, its own and the `near` before it, and the best. */
  readonly pick: number
  readonly first?: number
  readonly near?: number
  /** Last rows that are always read. */
  readonly window: number
}

/** A learned summary of a block: MLP of its rows, to each of which its place in the block is added. */
const summary = ({ headDim: d, compress: { size, hidden } }: NsaConfig) => ({
  place: array([size, d]),
  up: linear({ t: size, d }, { hidden }),
  down: linear({ hidden }, { d }),
})
const keysAndValues = ({ dim, kvHeads, headDim }: NsaConfig) => ({
  k: linear({ dim }, { h: kvHeads, d: headDim }),
  v: linear({ dim }, { h: kvHeads, d: headDim }),
})

/**
 * Native sparse attention: compressed blocks, the blocks that those show to matter and a sliding window, each with keys and values of its
 * own and a gate per head. Compressed keys know their place by the learned summary and are not turned; the others are. What a block is
 * worth is shared by the query heads of a group. Yuan et al. 2025, https://arxiv.org/abs/2502.11089
 */
export const nsa = defineAttention('nsa', {
  title: 'Native sparse attention',
  paper: 'https://arxiv.org/abs/2502.11089',
  family: 'sparse',
  oracle: 'float64 transcription of the paper by someone who had not read this code (internal/oracles/blind/nsa.py)',
  params(config: NsaConfig) {
    const { dim, heads, headDim } = checked(config)
    return {
      q: linear({ dim }, { h: heads, d: headDim }),
      compressed: { ...keysAndValues(config), keySummary: summary(config), valueSummary: summary(config) },
      selected: keysAndValues(config),
      near: keysAndValues(config),
      gate: linear({ dim }, { h: heads, branch: 3 }, true),
      o: linear({ h: heads, d: headDim }, { dim }),
    }
  },
  state({ kvHeads, headDim, compress: { size, stride } }) {
    const pooled = (of: 'kc' | 'vc', name: 'keySummary' | 'valueSummary') =>
      pool(kvHeads, headDim, { size, stride, of, by: (block, p) => summarise(block, p.compressed[name]) })
    const plain = rows(kvHeads, headDim)
    const turned = rows(kvHeads, headDim, { rotary: true })
    return {
      ...{ kc: plain, vc: plain, ck: pooled('kc', 'keySummary'), cv: pooled('vc', 'valueSummary') },
      ...{ ks: turned, vs: plain, kw: turned, vw: plain },
    }
  },
  forward({ x, params: p, position, state, mask, score, config }) {
    const { compressed, selected, near } = p
    const past = state.append({
      ...{ kc: compressed.k(x), vc: compressed.v(x) },
      ...{ ks: position.rotate(selected.k(x)), vs: selected.v(x) },
      ...{ kw: position.rotate(near.k(x)), vw: near.v(x) },
    })
    const plain = p.q(x) // (N, heads, d)
    const turned = position.rotate(plain)
    const outs = [
      attend(plain, past, { keys: 'ck', values: 'cv', mask: wholeBlocks(mask, config) }).out,
      attend(turned, past, { keys: 'ks', values: 'vs', mask, score, ...selection(plain, past, config) }).out,
      attend(turned, past, { keys: 'kw', values: 'vw', mask: mask.and(window(config.window)), score }).out,
    ]
    const gates = p.gate(x) // (N, heads, 3)
    const gated = outs.map((out, i) => mapWith((y, g) => y.mul(g.sigmoid()), [out, gates.slice(2, i, i + 1)]))
    return p.o(gated.reduce((a, b) => mapWith((y, z) => y.add(z), [a, b])))
  },
})

/** Rows of blocks (M, size, heads, d) → (M, heads, d). */
function summarise(block: Tensor, p: Bound<ReturnType<typeof summary>>): Tensor {
  const placed = mapWith((y, e) => y.add(e), [block.permute(0, 2, 1, 3), p.place]) // (M, heads, size, d)
  return p.down(mapWith(silu, [p.up(dense(placed))]))
}

/** The layer's mask for compressed blocks: both ends of one must be seen. */
function wholeBlocks(mask: Expr, { compress: { size, stride } }: NsaConfig): Expr {
  const at = (row: Expr) => substitute(mask, { 'k.row': row, 'k.position': row })
  const first = k.row.mul(stride)
  return at(first)
    .and(at(first.add(size - 1)))
    .and(first.add(size - 1).le(query.row))
}

/** The blocks each token and group of heads reads, by the weights its compressed branch gives. */
function selection(q: Tensor, past: Past, config: NsaConfig) {
  const { heads, kvHeads, compress, block, pick, first = 1, near = 1 } = config
  const weights = compressedWeights(q, past, 'ck', groupedHeads(heads, kvHeads), compress) // (N, kvHeads, M)
  const worth = sharedStrides(weights, compress, block, Math.ceil(slotsOf(past, 'ks') / block))
  return pickBlocks(worth, past, 'ks', { block, pick, first, near })
}

function checked(config: NsaConfig): NsaConfig {
  const { compress, block, heads, kvHeads } = config
  if (compress.size % compress.stride || block % compress.stride || heads % kvHeads)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `nsa: compress.size ${compress.size} and block ${block} must be multiples of compress.stride ${compress.stride}, heads ${heads} of kvHeads ${kvHeads}`,
      { config },
    )
  return config
}
