import { type AttendAttrs, attend } from '@attune/ops'
import { capacity, type Dim, elements, type Kernel, type Plan, type Sig } from '@attune/tensor'
import { type AttendViews, attendViews, type Rows } from './attend-operands.ts'
import { type AttendPrograms, attendPrograms } from './attend-programs.ts'
import { attendRefusal } from './attend-refusal.ts'
import { groupHeads, type HeadGroups, scratchBytes } from './attend-scratch.ts'

/**
 * Fused attention (native/attend.h): scores and masks as bytecode, tiles that nobody sees skipped, keys and values decoded as they are read.
 * Work is cut by a batch row's own tokens and lengths, so its companions and the threads change no bit.
 */
export const attendFused: Kernel<AttendAttrs> = {
  name: 'attend',
  op: attend,
  why: attendRefusal,
  cost: ({ outputs: [out] }) => elements(out.shape),
  plan: sig => attendPlan(sig),
}

/** A batch row with at most this many tokens is cut by keys; its partial results are kept per chunk. Mirrors native/attend-args.h. */
const FEW_TOKENS = 4

function attendPlan(sig: Sig<AttendAttrs>): Plan {
  const o = attendViews(sig)
  const programs = attendPrograms(sig)
  const groups = groupHeads(sig.attrs, o.listed)
  const cut = cutKeys(o)
  const scratch = scratchBytes(o, groups, programs)
  const bind = bindings(sig, o, programs, groups)
  const params = parameters(sig, o, programs, cut, scratch)
  return {
    launches: [
      { text: 'attend', bind, params, threadScratch: scratch },
      { text: 'attend_merge', bind, params },
      ...(sig.attrs.mass ? [{ text: 'attend_mass', bind, params, threadScratch: scratch }] : []),
    ],
    temps: [4 * cut.rows * o.heads * cut.chunks * (o.dV + 4), ...(needsLse(sig.attrs) ? [4 * capacity(o.tokens) * o.heads] : [])],
  }
}

/** The pass that sums weights needs it, asked for or not. */
const needsLse = ({ mass, lse, weigh }: AttendAttrs): boolean => mass && !lse && weigh === 'softmax'

/** How the keys of a batch row with few tokens are cut, by capacity alone. */
interface Cut {
  readonly chunkKeys: number
  readonly chunks: number
  /** tokens that may have partial results */
  readonly rows: number
  readonly fewTokens: number
}

function cutKeys({ slots, tokens, batch, block, blockCapacity, blocks }: AttendViews): Cut {
  const fewTokens = Math.min(FEW_TOKENS, capacity(tokens))
  const keys = blocks === undefined ? slots : capacity(blockCapacity) * block
  // Block lists are per token, also in a long prompt: fewer chunks, or their partial results would need too much memory.
  const wanted = blocks === undefined ? Math.max(512, keys / 32) : Math.max(2048, keys / 4)
  const unit = blocks === undefined ? 64 : block
  const chunkKeys = Math.ceil(wanted / unit) * unit
  const rows = blocks === undefined ? capacity(batch) * fewTokens : capacity(tokens)
  return { chunkKeys, chunks: Math.max(1, Math.ceil(keys / chunkKeys)), rows, fewTokens }
}

type Bindings = Plan['launches'][number]['bind']
function bindings(sig: Sig<AttendAttrs>, o: AttendViews, programs: AttendPrograms, groups: HeadGroups): Bindings {
  const input = (i: number | undefined) => (i === undefined ? ({ none: true } as const) : { input: i })
  const at = (name: AttendAttrs['names'][number]) => input(o.at(name))
  const data = (x: Int32Array | undefined) => (x ? { data: x } : ({ none: true } as const))
  return [
    { output: 0 },
    sig.attrs.lse ? { output: 1 } : needsLse(sig.attrs) ? { temp: 1 } : { none: true },
    sig.attrs.mass ? { output: sig.attrs.lse ? 2 : 1 } : { none: true },
    sig.attrs.work ? { output: sig.outputs.length - 1 } : { none: true },
    { temp: 0 },
    at('q'),
    at('k'),
    o.shared ? at('k') : at('v'),
    ...(['lengths', 'offsets', 'qRow', 'qPosition', 'kRow', 'kPosition', 'sink', 'rotate', 'blocks', 'blockCounts', 'pages'] as const).map(
      at,
    ),
    data(groups.data),
    ...[programs.score, programs.mask].flatMap(p => [data(p?.any), data(p?.consecutive)]),
    ...programs.tables.map(t => input(t.input)),
  ]
}

type Params = Plan['launches'][number]['params']
function parameters({ attrs }: Sig<AttendAttrs>, o: AttendViews, programs: AttendPrograms, cut: Cut, scratch: number): Params {
  const rows = (r: Rows): Dim[] => [r.type, ...r.strides.slice(0, 3)]
  const pair = (strides: readonly number[] | undefined): Dim[] => [strides?.[0] ?? 0, strides?.[1] ?? 0]
  return [
    ...[o.tokens, o.batch, o.heads, o.keyHeads, o.dK, o.dV],
    ...o.q.strides.slice(0, 2),
    ...rows(o.keys),
    ...rows(o.values),
    o.shared && !o.rotate ? 1 : 0,
    ...[o.lengths, o.kRow, o.kPosition].flatMap(v => pair(v?.strides)),
    attrs.page ?? 0,
    o.pageCount,
    o.pages?.shape.length === 3 ? o.keyHeads : 0,
    ...[o.block, capacity(o.blockCapacity), o.blockCapacity, o.blockLists],
    ...[cut.chunkKeys, cut.chunks, cut.fewTokens, scratch],
    o.pages ? { product: [o.pageCount, attrs.page!] } : o.k.shape[2],
    o.slots,
    o.rotate?.shape[0] ?? 0,
    attrs.pairing === 'interleaved' ? 1 : 0,
    { f32: attrs.scale },
    attrs.weigh === 'sigmoid' ? 1 : 0,
    programs.scoreTables,
    programs.tables.length,
    ...programs.tables.flatMap(({ view }) => [
      view.dtype === 'i32' ? 1 : 0,
      ...[0, 1, 2].flatMap(d => [view.shape[d] ?? 1, view.strides[d] ?? 0]),
    ]),
  ]
}
