import type { Past, RowsKind, Segment, StepTokens } from '@attune/attention'
import { type Expr, k, q, table, variable } from '@attune/expr'
import { AttuneError, copyOf, type Dim, gatherRows, mapExpr, mapWith, type Storage, scatterRows, type Tensor } from '@attune/tensor'
import { hadamardTurn } from './hadamard.ts'
import { isTurned, type QuantisedSettings } from './quantised.ts'
import { type Coded, type Coding, decodeRows, encodeRows } from './quantised-codes.ts'
import type { RowTurn } from './quantised-rotary.ts'
import { once, vector } from './slot-past.ts'

/** Tables of one step, on the device; the same for all layers. */
export interface QuantisedTables {
  /** Slots of rows as they are, per sequence. */
  readonly slots: number
  /** Row of each such slot and then of each new token (B, slots + capacity of N) i32; −1 for none. */
  readonly plain: Tensor
  /** How many of them (B) i32 */
  readonly lengths: Tensor
  /** Pages of each sequence's groups (B, P) i32, −1 for none, and the rows in them (B) i32. */
  readonly groups: Tensor
  readonly coded: Tensor
  /** Slot that keeps each token, or −1 (N) i32 */
  readonly keep: Tensor
  /** Groups that the step completes: batch row, page or −1 (M) i32, slot of each row in `plain` (M, group) i32. */
  readonly freshBatch: Tensor
  readonly freshPage: Tensor
  readonly freshSlots: Tensor
  /** Number of each of these rows, and that of every row in `groups`, (rows) i32. */
  readonly freshRows: Tensor
  readonly codedRows: Tensor
  /** Position of each row (B, rows) i32, where scores read them. */
  readonly positions?: Tensor
}

/** One part of one layer. */
export interface QuantisedPart {
  readonly kind: RowsKind
  readonly coding: Coding
  /** Rows as they are (B, heads, slots, width) */
  readonly plain: Tensor
  /** Pages of codes (pages, …) */
  readonly pages: Coded
  /** Keys are coded as they were before their positions turned them: then a channel keeps its range from token to token. */
  readonly turn?: RowTurn
}

/** Adds rows (N, heads, width) to a part: what attention sees as it is and as codes, each (B, heads, S, width) f32. */
export function appendQuantised(
  { kind, coding, plain, pages, turn }: QuantisedPart,
  values: Tensor,
  tokens: StepTokens,
  t: QuantisedTables,
  settings: QuantisedSettings,
  kv: Storage,
  effects: Tensor[],
): { plain: Tensor; coded: Tensor } {
  const { heads, width } = kind
  const { group } = settings
  const total = t.plain.shape[1] as number
  const turned = isTurned(settings, kind) ? turnOf(kind)(values) : values
  const given = kv === 'f32' ? turned : copyOf(copyOf(turned, kv), 'f32') // as it would be read back
  const { from, to, keep, fresh } = indices(tokens, t, heads)
  const stored = plain.reshape([tokens.batchRows * heads * t.slots, width])
  const early = gatherRows(stored, from).reshape([tokens.batchRows * heads * total, width])
  const now = scatterRows(early, to, given)
  effects.push(scatterRows(stored, keep, given))
  const rows = gatherRows(now, fresh) // (M, group, heads, width)
  const codes = encodeRows(
    turn ? turn(rows.reshape([t.freshRows.shape[0], heads, width]), before(t.freshRows)).reshape(rows.shape) : rows,
    coding,
  )
  const put = (name: keyof Coded) => {
    const next = scatterRows(pages[name], t.freshPage, codes[name])
    effects.push(next)
    return gatherRows(next, t.groups) // (B, P, group | 1, heads, …)
  }
  const [b, p] = t.groups.shape as readonly number[]
  const decoded = decodeRows({ codes: put('codes'), scale: put('scale'), middle: put('middle') }, coding).reshape([
    b * p * group,
    heads,
    width,
  ])
  const coded = turn ? turn(decoded, t.codedRows) : decoded
  return { plain: now.reshape([b, heads, total, width]), coded: coded.reshape([b, p * group, heads, width]).permute(0, 2, 1, 3) }
}

/** What attention sees of a layer whose parts are stored so. */
export function quantisedPast(
  parts: Readonly<Record<string, { plain: Tensor; coded: Tensor }>>,
  kinds: Readonly<Record<string, RowsKind>>,
  tokens: StepTokens,
  t: QuantisedTables,
  settings: QuantisedSettings,
): Past {
  const { sinks, recent, group } = settings
  // Rows from here on are seen as they are: it follows from the query's own row, so it is the same however tokens are cut.
  const first = q.row
    .add(1 - sinks - recent)
    .max(0)
    .idiv(group)
    .mul(group)
    .add(sinks)
  const [b, p] = t.groups.shape as readonly number[]
  const codedRows = t.codedRows.reshape([b, p * group])
  const turn = turning(Object.fromEntries(Object.entries(kinds).filter(([, kind]) => isTurned(settings, kind))))
  const of = (which: 'plain' | 'coded', rows: Tensor, lengths: Tensor, sees: Expr): Segment => {
    const per = (make: (heads: number) => Tensor) => Object.fromEntries(Object.keys(parts).map(name => [name, make(kinds[name].heads)]))
    const spread = (x: Tensor) => per(heads => x.unsqueeze(1).expand([b, heads, x.shape[1]]))
    const places = t.positions && once(rows, 'positions', () => positionsOf(t.positions!, rows))
    return {
      parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part[which]])),
      lengths: per(heads => once(lengths, `lengths${heads}`, () => copyOf(lengths.unsqueeze(1).expand([b, heads])))),
      rows: spread(rows),
      positions: places && spread(places),
      sees,
      turn,
      turnBack: turn,
    }
  }
  const refuse = (): never => {
    throw new AttuneError('ERR_UNSUPPORTED', 'quantised rows are not given out one by one or in one piece', {})
  }
  return {
    ...of('plain', t.plain, t.lengths, k.row.ge(0).and(k.row.lt(sinks).or(k.row.ge(first)))),
    more: [of('coded', codedRows, t.coded, k.row.lt(first))],
    tokens,
    at: refuse,
    dense: refuse,
  }
}

/** Rows (…, width) of a part turned, and back. */
export const turning = (kinds: Readonly<Record<string, RowsKind>>) => {
  const turns = new Map(Object.entries(kinds).map(([name, kind]) => [name, turnOf(kind)]))
  return (part: string, x: Tensor): Tensor =>
    turns.has(part) ? once(x, `turn:${JSON.stringify(spansOf(kinds[part]))}`, () => turns.get(part)!(x)) : x
}
const turnOf = (kind: RowsKind) => hadamardTurn(spansOf(kind))
/** Numbers with and without positions stay apart: values may be those without. */
const spansOf = ({ width, rotary }: RowsKind): number[] => {
  if (!rotary) return [width]
  return [rotary.at, rotary.dims, width - rotary.at - rotary.dims].filter(n => n > 0)
}

const before = (rows: Tensor): Tensor => once(rows, 'before', () => mapWith(r => r.neg(), [rows]))

function indices(tokens: StepTokens, t: QuantisedTables, heads: number) {
  const total = t.plain.shape[1] as number
  const { slots } = t
  const make = (name: string, expr: Expr, inputs: Tensor[], shape: readonly Dim[]) =>
    once(t.plain, `${name}${heads}`, () => mapExpr(expr, inputs, { dtype: 'i32', shape }))
  const run = (b: Expr, h: Expr, each: number) => b.mul(heads).add(h).mul(each)
  const [i0, i1, i2] = [0, 1, 2].map(i => variable(`i${i}`, 'i32'))
  const rows = table(t.plain, { dtype: 'i32', rank: 2 })
  const stored = i2.lt(slots).and(rows.at(i0, i2).ge(0))
  const n = run(variable('x0', 'i32'), i1, total)
    .add(slots)
    .add(i0)
    .sub(vector(tokens.offsets, variable('x0', 'i32')))
  const kept = variable('x1', 'i32')
  const [batch, page, slot] = [variable('x0', 'i32'), variable('x1', 'i32'), variable('x2', 'i32')]
  const column = (x: Tensor) => x.unsqueeze(1)
  const shape = [...t.freshSlots.shape, heads]
  const b = t.groups.shape[0] as number
  return {
    from: make('from', stored.select(run(i0, i1, slots).add(i2), -1), [], [b, heads, total]),
    to: make('to', n, [column(tokens.batch)], [tokens.count, heads]),
    keep: make('keep', kept.lt(0).select(-1, run(variable('x0', 'i32'), i1, slots).add(kept)), [column(tokens.batch), column(t.keep)], [tokens.count, heads]), // biome-ignore format: one line
    fresh: make('fresh', page.lt(0).select(-1, run(batch, i2, total).add(slot)), [column(column(t.freshBatch)), column(column(t.freshPage)), t.freshSlots.unsqueeze(2)], shape), // biome-ignore format: one line
  }
}

function positionsOf(positions: Tensor, rows: Tensor): Tensor {
  const most = (positions.shape[1] as number) - 1
  const at = table(positions, { dtype: 'i32', rank: 2 }).at(variable('i0', 'i32'), variable('x0', 'i32').max(0).min(most))
  return mapExpr(at, [rows], { dtype: 'i32' })
}
