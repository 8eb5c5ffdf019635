import { AttuneError, constant, type Expr, k, q } from '@attune/expr'

/** A mask as data: what a query may see. */
export type MaskSpec =
  | { readonly kind: 'causal' }
  /** The last `size` rows including the own one, and the first `sinks` rows. */
  | { readonly kind: 'window'; readonly size: number; readonly sinks?: number }
  /** Blocks of `size` rows that see only themselves. */
  | { readonly kind: 'chunked'; readonly size: number }
  /** Rows at most `distance` before or after the own one (encoders). */
  | { readonly kind: 'near'; readonly distance: number }
  /** Everything (encoders). */
  | { readonly kind: 'full' }

/** A query sees its own row and those before it. */
export const causal: Expr = k.row.le(q.row)
/** A query sees the last `size` rows, its own included, and the first `sinks`. */
export const window = (size: number, sinks = 0): Expr => {
  const near = q.row.sub(k.row).lt(size)
  return causal.and(sinks > 0 ? near.or(k.row.lt(sinks)) : near)
}
/** A query sees the rows of its own block of `size` up to itself. */
export const chunked = (size: number): Expr => causal.and(q.row.idiv(size).eq(k.row.idiv(size)))
/** A query sees rows at most `distance` before or after its own. */
export const near = (distance: number): Expr => q.row.sub(k.row).le(distance).and(k.row.sub(q.row).le(distance))
/** A query sees every row. */
export const full: Expr = constant(true)

/** The Expr a mask's data stands for. */
export function maskOf(spec: MaskSpec): Expr {
  switch (spec.kind) {
    case 'causal':
      return causal
    case 'window':
      return window(spec.size, spec.sinks)
    case 'chunked':
      return chunked(spec.size)
    case 'near':
      return near(spec.distance)
    case 'full':
      return full
    default:
      throw new AttuneError('ERR_UNSUPPORTED', `mask '${(spec as { kind: string }).kind}' is not known`, { spec })
  }
}
