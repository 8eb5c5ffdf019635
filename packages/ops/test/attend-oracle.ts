import { readFileSync } from 'node:fs'
import { chain, constant, type Expr, h, k, q, s, table } from '@attune/expr'
import {
  bytesOf,
  Constant,
  constantTensor,
  floatToHalf,
  isCodec,
  mapWith,
  q8_0,
  type Storage,
  sum,
  type Tensor,
  tensor,
} from '@attune/tensor'
import { type AttendOperands, type AttendResult, attendOf } from '../src/index.ts'

type Nested = readonly (number | Nested)[]

/** A case of oracles/make.py: sizes, metadata, and what PyTorch gives, float32 in base64. */
export interface OracleCase {
  readonly name: string
  readonly heads: number
  readonly nK: number
  readonly nV: number
  readonly d: number
  readonly dV: number
  readonly slots: number
  readonly seed: number
  readonly offsets: readonly number[]
  readonly lengths: readonly (readonly number[])[]
  readonly keyHeads: readonly number[]
  readonly valueHeads: readonly number[]
  readonly qRow: readonly number[]
  readonly qPosition?: readonly number[]
  readonly kRow?: readonly (readonly (readonly number[])[])[]
  readonly kPosition?: readonly (readonly (readonly number[])[])[]
  readonly blocks?: readonly (readonly (readonly number[])[])[]
  readonly blockCounts?: readonly (readonly number[])[]
  readonly block?: number
  readonly pages?: readonly (readonly number[])[]
  readonly page?: number
  readonly rotate?: readonly number[]
  readonly pairing?: 'half' | 'interleaved'
  readonly scale?: number
  readonly sink?: boolean
  readonly shared?: boolean
  readonly dtype: 'f32' | 'f16' | 'q8_0'
  readonly weigh: 'softmax' | 'sigmoid'
  readonly score: readonly (readonly [step: string, value: any])[]
  readonly mask: {
    readonly causal?: boolean
    readonly window?: number
    readonly sinks?: number
    readonly after?: number
    readonly documents?: number[]
  }
  readonly slopes?: readonly number[]
  readonly buckets?: readonly number[]
  readonly lse?: boolean
  readonly mass?: boolean
  readonly kBytes?: string
  readonly vBytes?: string
  readonly out: string
  readonly lseOut?: string
  readonly massOut?: string
  readonly grads?: Readonly<Record<string, string>>
}

export const oracleCases: readonly OracleCase[] = JSON.parse(readFileSync(new URL('../oracles/attend.json', import.meta.url), 'utf8'))
export const floats = (text: string): Float32Array => new Float32Array(bytes(text).buffer)
export const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'))

/** Multiples of 1/512 in [-1, 1), a hash of their index: the same as make.py's. */
export function values(shape: readonly number[], seed: number, scale = 1): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    let x = Math.imul(i + 1 + seed * 7919, 2654435761)
    x ^= x >>> 15
    x = Math.imul(x, 2246822519)
    x ^= x >>> 13
    return scale * (((x >>> 8) % 1024) / 512 - 1)
  })
}

export interface BuiltCase {
  readonly result: AttendResult
  /** Differentiable operands by make.py's names. */
  readonly operands: Readonly<Record<string, Tensor>>
  /** Σ r · out + Σ r · lse as make.py projects them. */
  loss(): Tensor
}

/** Operand data with changes, for finite differences. */
export type Change = (name: string, data: Float32Array) => void

/** The graph of a case. What no query may read is NaN, or an integer far out. */
export function build(c: OracleCase, change: Change = () => {}): BuiltCase {
  const operands: Record<string, Tensor> = {}
  const floatsOf = (name: string, shape: readonly number[], data: Float32Array): Tensor => {
    change(name, data)
    operands[name] = tensor(data, shape)
    return operands[name]
  }
  const pool = c.pages ? Math.max(...c.pages.flat()) + 1 : c.lengths.length
  const stored = (name: 'k' | 'v', heads: number, width: number, seed: number, raw?: string): Tensor => {
    const shape = [pool, heads, c.page ?? c.slots, width]
    const data = values(shape, seed)
    const unused = unusedRows(c, name)
    if (c.dtype === 'f32') {
      unused.forEach(at => void data.fill(Number.NaN, at * width, (at + 1) * width))
      return floatsOf(name, shape, data)
    }
    const dtype: Storage = c.dtype === 'q8_0' ? q8_0 : 'f16'
    const made = raw ? bytes(raw) : new Uint8Array(Uint16Array.from(data, floatToHalf).buffer)
    const row = bytesOf(dtype, width)
    unused.forEach(at => void made.fill(255, at * row, (at + 1) * row)) // NaN in f16, and as the scale of a block
    if (isCodec(dtype) && !raw) throw new Error('a packed operand without bytes')
    operands[name] = constantTensor(new Constant(dtype, shape, made))
    return operands[name]
  }
  const integers = (x: Nested | undefined, width?: number): Tensor | undefined => x && tensor(...flat(x, width), 'i32')
  const used: AttendOperands = {
    q: floatsOf('q', [c.qRow.length, c.heads, c.d], values([c.qRow.length, c.heads, c.d], c.seed, 2)),
    k: stored('k', c.nK, c.d, c.seed + 1, c.kBytes),
    v: c.shared ? undefined : stored('v', c.nV, c.dV, c.seed + 2, c.vBytes),
    lengths: integers(c.lengths)!,
    offsets: integers(c.offsets)!,
    qRow: integers(c.qRow)!,
    qPosition: integers(c.qPosition),
    kRow: integers(c.kRow, c.slots),
    kPosition: integers(c.kPosition, c.slots),
    sink: c.sink ? floatsOf('sink', [c.heads], values([c.heads], c.seed + 3)) : undefined,
    blocks: integers(c.blocks?.map((t, n) => t.map((list, head) => list.map((x, i) => (i < c.blockCounts![n][head] ? x : FAR))))),
    blockCounts: integers(c.blockCounts),
    pages: integers(c.pages?.map((list, b) => list.map((x, i) => (i * c.page! < Math.max(...c.lengths[b]) ? x : FAR)))),
    rotate: c.rotate && tensor(c.rotate),
  }
  const slopes = c.slopes && floatsOf('slopes', [c.slopes.length], Float32Array.from(c.slopes))
  const bias = c.buckets && floatsOf('bias', [c.heads, 8], values([c.heads, 8], c.seed + 4))
  const result = attendOf(used, {
    keyHeads: c.keyHeads,
    valueHeads: c.valueHeads,
    scale: c.scale,
    score: scoreOf(c, slopes, bias),
    mask: maskOf(c),
    weigh: c.weigh,
    block: c.block,
    page: c.page,
    pairing: c.pairing,
    valueWidth: c.shared ? c.dV : undefined,
    lse: c.lse,
    mass: c.mass,
  })
  return { result, operands, loss: () => lossOf(c, result) }
}

const FAR = 1 << 28

/** Rows of k or v, flat over (pool, heads, slots), that hold nothing. */
function unusedRows(c: OracleCase, name: 'k' | 'v'): number[] {
  const own = name === 'k' ? c.keyHeads : c.valueHeads
  const heads = name === 'k' ? c.nK : c.nV
  const per = c.page ?? c.slots
  const used = new Set<number>()
  c.lengths.forEach((lengths, b) => {
    own.forEach((head, query) => {
      for (let slot = 0; slot < lengths[c.keyHeads[query]]; slot++) {
        const block = c.pages ? c.pages[b][Math.floor(slot / per)] : b
        used.add((block * heads + head) * per + (slot % per))
      }
    })
  })
  const pool = c.pages ? Math.max(...c.pages.flat()) + 1 : c.lengths.length
  return Array.from({ length: pool * heads * per }, (_, i) => i).filter(i => !used.has(i))
}

function scoreOf(c: OracleCase, slopes?: Tensor, bias?: Tensor): Expr | undefined {
  const steps = c.score.map(([step, value]): Expr => {
    if (step === 'alibi')
      return s.sub(
        q.position
          .sub(k.position)
          .f32()
          .mul(table(slopes!, { dtype: 'f32', rank: 1 }).at(h)),
      )
    if (step === 'softcap') return s.div(value).tanh().mul(value)
    const bucket = table(tensor(value, [value.length], 'i32'), { dtype: 'i32', rank: 1 }).at(q.row.sub(k.row))
    return s.add(table(bias!, { dtype: 'f32', rank: 2 }).at(h, bucket))
  })
  return chain(...steps)
}

function maskOf({ mask }: OracleCase): Expr {
  let see: Expr = mask.causal ? k.row.le(q.row) : constant(true)
  if (mask.window)
    see = see.and(
      q.row
        .sub(k.row)
        .lt(mask.window)
        .or(k.row.lt(mask.sinks ?? 0)),
    )
  if (mask.after) see = see.and(k.row.ge(mask.after))
  if (!mask.documents) return see
  const documents = table(tensor(mask.documents, [mask.documents.length], 'i32'), { dtype: 'i32', rank: 1 })
  return see.and(documents.at(q.row).eq(documents.at(k.row)))
}

/** Nested lists as a tensor's data and shape; the last axis is filled up to `width`. */
function flat(x: Nested, width?: number): [number[], number[]] {
  if (x.every(e => typeof e === 'number')) {
    const list = [...x, ...new Array<number>(Math.max(0, (width ?? 0) - x.length)).fill(FAR)] as number[]
    return [list, [list.length]]
  }
  const parts = x.map(e => flat(e as Nested, width))
  return [parts.flatMap(p => p[0]), [x.length, ...parts[0][1]]]
}

function lossOf(c: OracleCase, { out, lse }: AttendResult): Tensor {
  const parts = [project(out, values(sizes(out), c.seed + 5))]
  // A query that sees nothing has a constant lse.
  if (lse) parts.push(project(lse, values(sizes(lse), c.seed + 6), floats(c.lseOut!)))
  return parts.reduce((a, b) => mapWith((x, y) => x.add(y), [a, b]))
}
function project(x: Tensor, by: Float32Array, only?: Float32Array): Tensor {
  let total = mapWith((a, b) => a.mul(b), [x, tensor(only ? by.map((r, i) => (only[i] < -1e38 ? 0 : r)) : by, sizes(x))])
  while (total.rank > 0) total = sum(total)
  return total
}
const sizes = (t: Tensor): number[] => t.shape.map(d => d as number)
