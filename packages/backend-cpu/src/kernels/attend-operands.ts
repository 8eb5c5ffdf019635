import { type AttendAttrs, type AttendOperands, operandsOf } from '@attune/ops'
import { capacity, type Dim, type Sig, storageName, type ViewType } from '@attune/tensor'

/** Formats of K and V by their number in native/attend-rows.h. */
export const ROW_TYPES = ['f32', 'f16', 'bf16', 'q8_0']

/** Rows of keys or values: number of the format, strides in elements. */
export interface Rows {
  readonly type: number
  readonly strides: readonly number[]
}

/** The operands of one `attend`, as the kernel sees them. */
export interface AttendViews extends AttendOperands<ViewType> {
  /** Input number of an operand. */
  at(name: AttendAttrs['names'][number]): number | undefined
  readonly tokens: Dim
  readonly batch: Dim
  readonly heads: number
  readonly keyHeads: number
  readonly dK: number
  readonly dV: number
  /** Slots a batch row may have. */
  readonly slots: number
  /** Entries of a page table. */
  readonly pageCount: Dim
  readonly block: number
  /** Blocks a token may list. */
  readonly blockCapacity: Dim
  /** Lists of a token: one per key head, or one per query head. */
  readonly blockLists: number
  readonly listed: boolean
  readonly keys: Rows
  readonly values: Rows
  /** The values are the first dV numbers of each key. */
  readonly shared: boolean
}

export function attendViews({ inputs, attrs }: Sig<AttendAttrs>): AttendViews {
  const o = operandsOf<ViewType>(inputs, attrs)
  const ownPages = o.pages?.shape.length === 3
  const pageCount = o.pages?.shape[o.pages.shape.length - 1] ?? 0
  const keyHeads = (ownPages ? o.pages!.shape[1] : o.k.shape[1]) as number
  const blockLists = (o.blocks?.shape[1] as number | undefined) ?? keyHeads
  const rows = ({ dtype, strides: [page, head, ...rest] }: ViewType): Rows => ({
    type: ROW_TYPES.indexOf(storageName(dtype)),
    strides: [page, ownPages ? 0 : head, ...rest],
  })
  return {
    ...o,
    at: name => {
      const i = attrs.names.indexOf(name)
      return i < 0 ? undefined : i
    },
    tokens: o.q.shape[0],
    batch: o.lengths.shape[0],
    heads: o.q.shape[1] as number,
    keyHeads,
    dK: o.q.shape[2] as number,
    dV: (o.v ? o.v.shape[3] : attrs.valueWidth) as number,
    slots: o.pages ? capacity(pageCount) * attrs.page! : capacity(o.k.shape[2]),
    pageCount,
    block: attrs.block ?? 0,
    blockCapacity: o.blocks?.shape[2] ?? 0,
    blockLists,
    listed: blockLists !== keyHeads,
    keys: rows(o.k),
    values: rows(o.v ?? o.k),
    shared: o.v === undefined,
  }
}
