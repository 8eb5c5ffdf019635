import { variable } from '@attune/expr'
import { capacity, mapWith, matmulOf, type Tensor } from '@attune/tensor'
import { ofEarlierSlots, type SlotMap } from './slot-scores.ts'

const [i2, i3] = ['i2', 'i3'].map(name => variable(name, 'i32'))

/** Reflections I − β w wᵀ of a chunk's tokens: directions w (B, G, C, d) of length 1, strengths beta (B, G, C, 1). */
export interface Reflections {
  readonly w: Tensor
  readonly beta: Tensor
}

/**
 * What the reflections of the chunk take from keys (B, G, S, d): `through` (B, G, C, S), of which row i times w_i is what reflection i
 * takes from a key before it, those in between already applied. In compact form (I + L)⁻¹ β W Kᵀ, L the part of β W Wᵀ below the
 * diagonal. https://arxiv.org/abs/2505.16381, section 3.3
 */
export function through({ w, beta }: Reflections, keys: Tensor, slots: SlotMap): Tensor {
  const scaled = mapWith((a, b) => a.mul(b), [w, beta])
  const between = mapWith(x => i3.lt(i2).select(x, 0), [matmulOf(scaled, w.transpose())])
  return matmulOf(unitLowerInverse(between), ofEarlierSlots(matmulOf(scaled, keys.transpose()), slots))
}

/** Keys after all reflections of the chunk that come after them: (B, G, S, d). */
export const reflected = (keys: Tensor, { w }: Reflections, taken: Tensor): Tensor =>
  mapWith((k, lost) => k.sub(lost), [keys, matmulOf(taken.transpose(), w)])

/** Products of queries (B, G, g·C, d) with keys through the reflections from a key to the query's own: (B, G, g·C, S). */
export function productsThrough(q: Tensor, keys: Tensor, { w }: Reflections, taken: Tensor): Tensor {
  const size = capacity(w.shape[2])
  const along = mapWith(x => i3.le(i2.mod(size)).select(x, 0), [matmulOf(q, w.transpose())]) // (B, G, g·C, C)
  return mapWith((a, b) => a.sub(b), [matmulOf(q, keys.transpose()), matmulOf(along, taken)])
}

/**
 * (I + A)⁻¹ of strictly lower A (B, G, C, C). It grows from blocks of one by doubling, X ← X − X·A'·X with A' the part of A that joins
 * neighbouring blocks: stable where a product of powers of A is not.
 */
function unitLowerInverse(a: Tensor): Tensor {
  const joins = (block: number): Tensor =>
    mapWith(
      x =>
        i2
          .idiv(2 * block)
          .eq(i3.idiv(2 * block))
          .and(i2.idiv(block).gt(i3.idiv(block)))
          .select(x, 0),
      [a],
    )
  let inverse = mapWith(x => i2.eq(i3).select(1, x.neg()), [joins(1)])
  for (let block = 2; block < capacity(a.shape[2]); block *= 2)
    inverse = mapWith((x, y) => x.sub(y), [inverse, matmulOf(matmulOf(inverse, joins(block)), inverse)])
  return inverse
}
