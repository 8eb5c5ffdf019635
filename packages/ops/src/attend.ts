import { AttuneError, type Expr, tables } from '@attune/expr'
import { call, type Dim, type Op, showShape, type Tensor, type Type } from '@attune/tensor'
import { composeAttend } from './attend-compose.ts'

/** Operands of `attend`, by name. Optional ones may be absent. B = batch rows, N = tokens of this step (flat, sorted by batch row), S = slot capacity. */
export interface AttendOperands<T = Tensor> {
  /** Queries (N, H, dQK). */
  readonly q: T
  /** Keys (B, nK, S, dQK), f32 | f16 | bf16 | packed along the width. With `pages`: (pages, nK, page, dQK), or (pages, 1, page, dQK) where each head has pages of its own. */
  readonly k: T
  /** Values (B, nV, S, dV). Absent: the values are the first `attrs.valueWidth` numbers of each key row (K and V share one buffer). */
  readonly v?: T
  /** Slots in use (B, nK) i32. Slots at and beyond it are never read. */
  readonly lengths: T
  /** First token of each batch row (B + 1) i32: tokens offsets[b] … offsets[b+1]−1 belong to row b. */
  readonly offsets: T
  /** Row (index in its sequence, arrival order) of each token (N) i32. */
  readonly qRow: T
  /** Position of each token (N) i32. Absent: equal to the row. */
  readonly qPosition?: T
  /** Row of each slot (B, nK, S) i32. Absent: slot index = row. */
  readonly kRow?: T
  /** Position of each slot (B, nK, S) i32. Absent: equal to the slot's row. */
  readonly kPosition?: T
  /** A learned logit per query head (H) that takes weight but gives no value. */
  readonly sink?: T
  /**
   * Key blocks each token reads (N, nK, cap) i32, or (N, H, cap): a list per query head. Ascending or not, distinct; only the first
   * `blockCounts` are read; block j covers slots [j·block, (j+1)·block).
   */
  readonly blocks?: T
  /** How many of `blocks` are read (N, nK or H) i32. */
  readonly blockCounts?: T
  /** Page table (B, P) i32: slot s of row b lies in page pages[b, s / page] of the pool at s % page. Or (B, nK, P): a table per head. */
  readonly pages?: T
  /** Inverse frequencies (F) f32: keys are stored unrotated and rotated by their position while loaded. */
  readonly rotate?: T
}

export interface AttendAttrs {
  /** Names of the inputs, in order. Tables of `score` then of `mask` (each in `tables()` order) follow them. */
  readonly names: readonly (keyof AttendOperands)[]
  /** Query head → key head, query head → value head (length H). Any map is allowed. */
  readonly keyHeads: readonly number[]
  readonly valueHeads: readonly number[]
  /** Scores are q·k × scale, before `score`. */
  readonly scale: number
  /** f32 Expr over s, b, h, kv, q.row, q.position, k.row, k.position and tables. */
  readonly score?: Expr
  /** bool Expr over the same variables without s. Masked pairs are not attended; a query that sees nothing gives zeros and lse −3.4e38. */
  readonly mask?: Expr
  /** softmax: normalised exponentials; sigmoid: 1/(1+exp(−s)), no normaliser. */
  readonly weigh: 'softmax' | 'sigmoid'
  /** Slots per block of `blocks`, per page of `pages`. */
  readonly block?: number
  readonly page?: number
  readonly valueWidth?: number
  /** How `rotate` pairs dimensions: half (i, i+F) or interleaved (2i, 2i+1); only the first 2F numbers turn. */
  readonly pairing?: 'half' | 'interleaved'
  /** Which further outputs to give. */
  readonly lse: boolean
  readonly mass: boolean
  readonly work?: boolean
}

export interface AttendOptions {
  readonly keyHeads?: readonly number[]
  readonly valueHeads?: readonly number[]
  readonly scale?: number
  readonly score?: Expr
  readonly mask?: Expr
  readonly weigh?: 'softmax' | 'sigmoid'
  readonly block?: number
  readonly page?: number
  readonly valueWidth?: number
  readonly pairing?: 'half' | 'interleaved'
  readonly lse?: boolean
  readonly mass?: boolean
  readonly work?: boolean
}

/** Operand by name, from a flat input list. */
export const operandsOf = <T>(inputs: readonly T[], { names }: AttendAttrs): AttendOperands<T> =>
  Object.fromEntries(names.map((n, i) => [n, inputs[i]])) as unknown as AttendOperands<T>
/** Inputs that are tables of `score` and `mask`, with the Exprs' table nodes they stand for. */
export function tableInputs<T>(inputs: readonly T[], { names, score, mask }: AttendAttrs): { score: T[]; mask: T[] } {
  const n = score ? tables(score).length : 0
  const rest = inputs.slice(names.length)
  return { score: rest.slice(0, n), mask: mask ? rest.slice(n) : [] }
}

/**
 * Attention of N query tokens over cached keys and values. Outputs: out (N, H, dV) f32, then lse (N, H) f32 if asked (natural log of
 * the sum of exponentials incl. the sink), then mass (B, nK, S) f32 if asked (each slot's weight summed over the queries that read its head),
 * then work (N, H) i32 if asked: how many slots were scored for a query, whether it saw them or not. That is the kernel's to say, not a
 * part of the meaning: it tells what block lists and masks save.
 */
export const attend: Op<AttendAttrs> = {
  name: 'attend',
  infer(inputs, attrs) {
    const o = operandsOf<Type>(inputs, attrs)
    const [n, h, d] = o.q.shape
    const [b, stored, s, dk] = o.k.shape
    const ownPages = o.pages?.shape.length === 3
    const nk = ownPages ? o.pages!.shape[1] : stored
    const dv = o.v ? o.v.shape[3] : attrs.valueWidth
    const wrong = (what: string): never => {
      throw new AttuneError(
        'ERR_SHAPE',
        `attend: ${what} (q ${showShape(o.q.shape)}, k ${showShape(o.k.shape)}${o.v ? `, v ${showShape(o.v.shape)}` : ''})`,
        {},
      )
    }
    if (o.q.shape.length !== 3 || o.k.shape.length !== 4 || d !== dk) wrong('q must be (N, H, d) and k (B, nK, S, d)')
    if (dv === undefined) return wrong('values are missing: give v or valueWidth')
    if (attrs.keyHeads.length !== h || attrs.valueHeads.length !== h)
      wrong(`head maps have ${attrs.keyHeads.length} and ${attrs.valueHeads.length} entries for ${String(h)} query heads`)
    if (attrs.keyHeads.some(x => !(x >= 0 && x < (nk as number)))) wrong('the key head map names a head that is not there')
    if (ownPages && (stored !== 1 || (o.v && o.v.shape[1] !== 1))) wrong('with pages per head the pool holds one head')
    const nv = o.v && !ownPages ? o.v.shape[1] : nk
    if (attrs.valueHeads.some(x => !(x >= 0 && x < (nv as number)))) wrong('the value head map names a head that is not there')
    if (o.blocks && ![nk, h].includes(o.blocks.shape[1])) wrong(`block lists ${showShape(o.blocks.shape)} are for another number of heads`)
    if (attrs.weigh === 'sigmoid' && (attrs.lse || o.sink)) wrong(`sigmoid weights have no ${attrs.lse ? 'lse' : 'sink'}`)
    const out: Type[] = [{ dtype: 'f32', shape: [n, h, dv] }]
    if (attrs.lse) out.push({ dtype: 'f32', shape: [n, h] })
    if (attrs.mass) out.push({ dtype: 'f32', shape: o.pages ? [o.lengths.shape[0], nk, capacityOfPages(o, attrs)] : [b, nk, s] })
    if (attrs.work) out.push({ dtype: 'i32', shape: [n, h] })
    return out
  },
  compose: composeAttend,
}

const capacityOfPages = (o: AttendOperands<Type>, attrs: AttendAttrs): Dim => {
  const p = o.pages!.shape[o.pages!.shape.length - 1]
  return (typeof p === 'number' ? p : p.max) * attrs.page!
}

export interface AttendResult {
  readonly out: Tensor
  readonly lse?: Tensor
  readonly mass?: Tensor
  readonly work?: Tensor
}

/** Contiguous groups: query head h reads head ⌊h·n/H⌋. */
export const groupedHeads = (heads: number, shared: number): number[] =>
  Array.from({ length: heads }, (_, i) => Math.floor((i * shared) / heads))

export function attendOf(operands: AttendOperands, options: AttendOptions = {}): AttendResult {
  const names = (Object.keys(operands) as (keyof AttendOperands)[]).filter(n => operands[n] !== undefined)
  const heads = operands.q.shape[1] as number
  const ownPages = operands.pages?.rank === 3
  const nk = (ownPages ? operands.pages!.shape[1] : operands.k.shape[1]) as number
  const nv = operands.v && !ownPages ? (operands.v.shape[1] as number) : nk
  const { score, mask } = options
  const attrs: AttendAttrs = {
    names,
    keyHeads: options.keyHeads ?? groupedHeads(heads, nk),
    valueHeads: options.valueHeads ?? (nv === nk && options.keyHeads ? options.keyHeads : groupedHeads(heads, nv)),
    scale: options.scale ?? (operands.q.shape[2] as number) ** -0.5,
    score,
    mask,
    weigh: options.weigh ?? 'softmax',
    block: options.block,
    page: options.page,
    valueWidth: options.valueWidth,
    pairing: options.pairing,
    lse: options.lse ?? false,
    mass: options.mass ?? false,
    work: options.work ?? false,
  }
  const extra = [...(score ? tables(score) : []), ...(mask ? tables(mask) : [])].map(t => t.operand as Tensor)
  const r = call(attend, [...names.map(n => operands[n]!), ...extra], attrs)
  return {
    out: r[0],
    lse: attrs.lse ? r[1] : undefined,
    mass: attrs.mass ? r[attrs.lse ? 2 : 1] : undefined,
    work: attrs.work ? r[r.length - 1] : undefined,
  }
}
