import { compileJs, type Expr, tables } from '@attune/expr'
import type { AttendAttrs, AttendOperands } from '@attune/ops'
import { bf16ToFloat, floatToBf16, floatToHalf, halfToFloat, isCodec, type Storage } from '@attune/tensor'
import type { PlanInput } from './run-plan.ts'

/** What a test of `attend` varies; the rest is made up from it. */
export interface AttendCase {
  readonly name: string
  /** Per batch row: tokens of this step, and rows already cached. */
  readonly rows: readonly (readonly [tokens: number, past: number])[]
  readonly heads?: number
  readonly keyHeads?: readonly number[]
  readonly valueHeads?: readonly number[]
  readonly dK?: number
  readonly dV?: number
  readonly dtype?: Storage
  readonly score?: Expr
  readonly mask?: Expr
  readonly weigh?: 'softmax' | 'sigmoid'
  readonly sink?: boolean
  readonly lse?: boolean
  readonly mass?: boolean
  readonly work?: boolean
  /** Values are the first dV numbers of each key. */
  readonly shared?: boolean
  /** Slots lie in a random order, with `kRow`. */
  readonly shuffled?: boolean
  /** Key heads hold different numbers of slots, as after an eviction. */
  readonly ragged?: boolean
  /** K and V lie as (B, S, n, d). */
  readonly transposed?: boolean
  /** Lists of blocks; `each`: one per query head, not per key head. */
  readonly blocks?: { readonly size: number; readonly capacity: number; readonly each?: boolean }
  readonly page?: number
  /** Each head has pages of its own. */
  readonly ownPages?: boolean
  /** Rows of the tokens do not count up by one: every third is left out. */
  readonly skipping?: boolean
  readonly qPosition?: boolean
  readonly kPosition?: boolean
  /** Keys lie unrotated; the last four of their numbers never turn. */
  readonly rotate?: 'half' | 'interleaved'
  readonly capacity?: number
  readonly seed?: number
}

export interface MadeAttend {
  readonly inputs: readonly PlanInput[]
  readonly attrs: AttendAttrs
  /** In float64, by the definition. */
  reference(): { out: Float64Array; lse: Float64Array; mass: Float64Array }
}

export function random(seed: number): () => number {
  let x = seed * 2654435761 + 12345
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 2 ** 32
  }
}

/** Operands of a case. Slots at and beyond the lengths are NaN. */
export function makeAttend(c: AttendCase): MadeAttend {
  const next = random(c.seed ?? 1)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  const { heads = 3, dK = 16, dtype = 'f32' } = c
  const dV = c.dV ?? dK
  const keyHeads = c.keyHeads ?? Array.from({ length: heads }, () => 0)
  const valueHeads = c.valueHeads ?? keyHeads
  const [nK, nV] = [Math.max(...keyHeads) + 1, c.shared ? Math.max(...keyHeads) + 1 : Math.max(...valueHeads) + 1]
  const batch = c.rows.length
  const tokens = c.rows.reduce((n, [t]) => n + t, 0)
  const longest = Math.max(...c.rows.map(([t, past]) => t + past))
  const slots = c.capacity ?? Math.ceil((longest + 5) / (c.page ?? 1)) * (c.page ?? 1)
  const offsets = [0]
  for (const [t] of c.rows) offsets.push(offsets[offsets.length - 1] + t)
  const qRow = c.rows.flatMap(([t, past]) => Array.from({ length: t }, (_, i) => past + (c.skipping ? i + (i >> 1) : i)))
  const lengths = c.rows.flatMap(([t, past]) => Array.from({ length: nK }, (_, n) => Math.max(0, t + past - (c.ragged ? 7 * n : 0))))

  const q = Float32Array.from({ length: tokens * heads * dK }, normal)
  const k = storedRows(batch, nK, slots, dK, dtype, (b, n) => lengths[b * nK + n], normal, c.transposed)
  const lengthOfValues = (b: number): number => Math.max(...lengths.slice(b * nK, (b + 1) * nK))
  const v = c.shared ? k : storedRows(batch, nV, slots, dV, dtype, lengthOfValues, normal, c.transposed)
  const kRow = numberSlots(batch, nK, slots, (b, n) => lengths[b * nK + n], c.shuffled ? next : undefined)
  const qPosition = qRow.map(r => (c.qPosition ? 3 * r + 2 : r))
  const kPosition = kRow.map(r => (c.kPosition ? 3 * r + 1 : r))
  const frequencies = Float32Array.from({ length: dK / 2 - 2 }, (_, i) => 10000 ** (-i / (dK / 2 - 2)))
  const sink = Float32Array.from({ length: heads }, normal)
  const lists = c.blocks?.each ? heads : nK
  const blocks = c.blocks && listBlocks(tokens, lists, Math.ceil(slots / c.blocks.size), c.blocks.capacity, next)
  const pages = c.page ? layPages(c.ownPages ? batch * nK : batch, slots / c.page, next) : undefined

  const pooled = (s: Stored): PlanInput => (pages ? toPages(s, pages, c.page!, c.ownPages) : s.input)
  const operands: Record<string, PlanInput | undefined> = {
    q: { dtype: 'f32', shape: [tokens, heads, dK], data: q },
    k: pooled(k),
    v: c.shared ? undefined : pooled(v),
    lengths: i32([batch, nK], lengths),
    offsets: i32([batch + 1], offsets),
    qRow: i32([tokens], qRow),
    qPosition: c.qPosition ? i32([tokens], qPosition) : undefined,
    kRow: c.shuffled ? i32([batch, nK, slots], kRow) : undefined,
    kPosition: c.kPosition ? i32([batch, nK, slots], kPosition) : undefined,
    sink: c.sink ? { dtype: 'f32', shape: [heads], data: sink } : undefined,
    rotate: c.rotate && { dtype: 'f32', shape: [frequencies.length], data: frequencies },
    blocks: blocks && i32([tokens, lists, c.blocks!.capacity], blocks.items),
    blockCounts: blocks && i32([tokens, lists], blocks.counts),
    pages: pages && i32(c.ownPages ? [batch, nK, slots / c.page!] : [batch, slots / c.page!], pages),
  }
  const names = (Object.keys(operands) as (keyof AttendOperands)[]).filter(n => operands[n])
  const read = [...(c.score ? tables(c.score) : []), ...(c.mask ? tables(c.mask) : [])].map(t => t.operand as PlanInput)
  const scale = dK ** -0.5
  const attrs: AttendAttrs = {
    ...{
      names,
      keyHeads,
      valueHeads,
      scale,
      score: c.score,
      mask: c.mask,
      weigh: c.weigh ?? 'softmax',
      lse: c.lse ?? false,
      mass: c.mass ?? false,
      work: c.work ?? false,
    },
    ...{ block: c.blocks?.size, page: c.page, pairing: c.rotate, valueWidth: c.shared ? dV : undefined },
  }

  const reference: MadeAttend['reference'] = () => {
    const variables = ['s', 'b', 'h', 'kv', 'q.row', 'q.position', 'k.row', 'k.position']
    const see = c.mask && compileJs(c.mask, variables)
    const change = c.score && compileJs(c.score, variables)
    const out = new Float64Array(tokens * heads * dV)
    const lse = new Float64Array(tokens * heads)
    const mass = new Float64Array(batch * nK * slots)
    for (let b = 0; b < batch; b++)
      for (let n = offsets[b]; n < offsets[b + 1]; n++)
        for (let h = 0; h < heads; h++) {
          const kv = keyHeads[h]
          const seen: { score: number; slot: number }[] = []
          for (let s = 0; s < lengths[b * nK + kv]; s++) {
            const at = (b * nK + kv) * slots + s
            if (blocks && !blocks.of(n * lists + (c.blocks!.each ? h : kv)).includes(Math.floor(s / c.blocks!.size))) continue
            const env = [0, b, h, kv, qRow[n], qPosition[n], kRow[at], kPosition[at]]
            if (see && !see(env)) continue
            const row = c.rotate ? rotated(k.row(b, kv, s), kPosition[at], frequencies, c.rotate) : k.row(b, kv, s)
            for (let e = 0; e < dK; e++) env[0] += q[(n * heads + h) * dK + e] * row[e]
            env[0] *= scale
            seen.push({ score: change ? change(env) : env[0], slot: s })
          }
          const w = weights(
            seen.map(x => x.score),
            attrs.weigh,
            c.sink ? sink[h] : undefined,
          )
          lse[n * heads + h] = w.lse
          for (const [i, { slot }] of seen.entries()) {
            mass[(b * nK + kv) * slots + slot] += w.weights[i]
            const row = v.row(b, valueHeads[h], slot)
            for (let e = 0; e < dV; e++) out[(n * heads + h) * dV + e] += w.weights[i] * row[e]
          }
        }
    return { out, lse, mass }
  }
  return { inputs: [...names.map(n => operands[n]!), ...read], attrs, reference }
}

function rotated(row: Float32Array, position: number, frequencies: Float32Array, pairing: 'half' | 'interleaved'): Float64Array {
  const out = Float64Array.from(row)
  for (const [i, w] of frequencies.entries()) {
    const angle = Math.fround(position * w)
    const [first, second] = pairing === 'half' ? [i, i + frequencies.length] : [2 * i, 2 * i + 1]
    out[first] = row[first] * Math.cos(angle) - row[second] * Math.sin(angle)
    out[second] = row[second] * Math.cos(angle) + row[first] * Math.sin(angle)
  }
  return out
}

function weights(scores: number[], weigh: 'softmax' | 'sigmoid', sink: number | undefined): { weights: number[]; lse: number } {
  if (weigh === 'sigmoid') return { weights: scores.map(x => 1 / (1 + Math.exp(-x))), lse: 0 }
  const all = sink === undefined ? scores : [...scores, sink]
  if (all.length === 0) return { weights: [], lse: -3.4e38 }
  const top = all.reduce((a, x) => Math.max(a, x))
  const sum = all.reduce((a, x) => a + Math.exp(x - top), 0)
  return { weights: scores.map(x => Math.exp(x - top) / sum), lse: top + Math.log(sum) }
}

const i32 = (shape: readonly number[], data: readonly number[]): PlanInput => ({ dtype: 'i32', shape, data: Int32Array.from(data) })

interface Stored {
  readonly input: PlanInput
  row(b: number, head: number, slot: number): Float32Array
}

/** (B, n, S, d) with NaN where nothing is stored. */
function storedRows(
  batch: number,
  n: number,
  slots: number,
  d: number,
  dtype: Storage,
  length: (b: number, n: number) => number,
  normal: () => number,
  transposed = false,
): Stored {
  // biome-ignore format: two lines
  const shape = [batch, n, slots, d]
  const strides = transposed ? [n * slots * d, d, n * d, 1] : [n * slots * d, slots * d, d, 1]
  const values = new Float32Array(batch * n * slots * d).fill(Number.NaN)
  const start = (b: number, head: number, slot: number): number => b * strides[0] + head * strides[1] + slot * strides[2]
  for (let b = 0; b < batch; b++)
    for (let head = 0; head < n; head++)
      for (let slot = 0; slot < length(b, head); slot++) for (let e = 0; e < d; e++) values[start(b, head, slot) + e] = normal()
  const { data, decoded } = encode(values, dtype)
  return {
    input: { dtype, shape, data, strides: transposed ? strides : undefined },
    row: (b, head, slot) => decoded.subarray(start(b, head, slot), start(b, head, slot) + d),
  }
}

function encode(values: Float32Array, dtype: Storage): { data: ArrayBufferView; decoded: Float32Array } {
  if (dtype === 'f32') return { data: values, decoded: values }
  if (isCodec(dtype)) {
    const data = new Uint8Array((values.length / dtype.block) * dtype.bytes)
    dtype.encode!(values, data)
    // A packed block cannot hold NaN, but its scale can.
    for (let i = 0; i < values.length; i += dtype.block)
      if (Number.isNaN(values[i])) data.fill(0xff, (i / dtype.block) * dtype.bytes, (i / dtype.block + 1) * dtype.bytes)
    const decoded = new Float32Array(values.length)
    dtype.decode(data, decoded)
    return { data, decoded }
  }
  const [to, from] = dtype === 'f16' ? [floatToHalf, halfToFloat] : [floatToBf16, bf16ToFloat]
  const data = Uint16Array.from(values, to)
  return { data, decoded: Float32Array.from(data, from) }
}

/** Row of each slot; with `next`, a random permutation per batch row and head. Beyond the length −1, which would see everything. */
function numberSlots(batch: number, heads: number, slots: number, length: (b: number, n: number) => number, next?: () => number): number[] {
  const rows: number[] = []
  for (let b = 0; b < batch; b++)
    for (let n = 0; n < heads; n++) {
      const own = Array.from({ length: length(b, n) }, (_, i) => i)
      if (next) shuffle(own, next)
      rows.push(...own, ...Array.from({ length: slots - own.length }, (_, i) => (next ? -1 : own.length + i)))
    }
  return rows
}

function shuffle(list: number[], next: () => number): number[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
  return list
}

function listBlocks(tokens: number, heads: number, count: number, capacity: number, next: () => number) {
  const items: number[] = []
  const counts: number[] = []
  for (let i = 0; i < tokens * heads; i++) {
    const own = shuffle(
      Array.from({ length: count }, (_, j) => j),
      next,
    ).slice(0, Math.floor(next() * (Math.min(count, capacity) + 1)))
    counts.push(own.length)
    items.push(...own, ...Array.from({ length: capacity - own.length }, () => 1 << 28)) // never to be read
  }
  return { items, counts, of: (i: number) => items.slice(i * capacity, i * capacity + counts[i]) }
}

const layPages = (batch: number, perRow: number, next: () => number): number[] =>
  shuffle(
    Array.from({ length: batch * perRow }, (_, i) => i),
    next,
  )

/** The same f32 rows in pages of a pool. */
function toPages({ row, input }: Stored, pages: readonly number[], page: number, own = false): PlanInput {
  const [batch, n, slots, d] = input.shape as number[]
  const data = new Float32Array(batch * n * slots * d)
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < n; h++)
      for (let s = 0; s < slots; s++) {
        const at = pages[(own ? b * n + h : b) * (slots / page) + Math.floor(s / page)]
        data.set(row(b, h, s), ((own ? at : at * n + h) * page + (s % page)) * d)
      }
  return { dtype: 'f32', shape: own ? [(batch * n * slots) / page, 1, page, d] : [(batch * slots) / page, n, page, d], data }
}
