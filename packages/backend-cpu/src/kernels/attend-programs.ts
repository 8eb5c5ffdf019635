import { compileTile, type Expr, k, q, substitute, TILE_HEADER, type TileProgram, tables } from '@attune/expr'
import { type AttendAttrs, operandsOf } from '@attune/ops'
import type { Sig, ViewType } from '@attune/tensor'

/** Bytes of a program: code, then constants. */
export interface Program {
  readonly any: Int32Array
  /** For rows that count up by one; the same as `any` where the operands do not promise it. */
  readonly consecutive: Int32Array
}

export interface AttendPrograms {
  readonly score?: Program
  readonly mask?: Program
  readonly tables: readonly { readonly input: number; readonly view: ViewType }[]
  /** How many of `tables` are the score's. */
  readonly scoreTables: number
}

/** Compiles the score and the mask. Throws ERR_UNSUPPORTED with what bytecode lacks. */
export function attendPrograms({ inputs, attrs }: Sig<AttendAttrs>): AttendPrograms {
  const o = operandsOf(inputs, attrs)
  const compile = (e: Expr | undefined, kind: 'score' | 'mask'): Program | undefined => {
    if (!e) return undefined
    // A position that is not given is the row: known before compiling, it may become a distance.
    const bound = substitute(e, { ...(o.qPosition ? {} : { 'q.position': q.row }), ...(o.kPosition ? {} : { 'k.position': k.row }) })
    const options = { tables: tables(e) }
    const any = pack(compileTile(bound, kind, { ...options, consecutive: false }))
    return { any, consecutive: o.kRow ? any : pack(compileTile(bound, kind, { ...options, consecutive: true })) }
  }
  const first = attrs.names.length
  const scoreTables = attrs.score ? tables(attrs.score).length : 0
  return {
    score: compile(attrs.score, 'score'),
    mask: compile(attrs.mask, 'mask'),
    tables: inputs.slice(first).map((view, i) => ({ input: first + i, view })),
    scoreTables,
  }
}

/** Slots per shape and instructions: the largest of both versions. */
export function programSize(p: Program | undefined): { instructions: number; slots: number[] } {
  const of = (i: number): number => (p ? Math.max(p.any[i], p.consecutive[i]) : 0)
  return { instructions: of(0), slots: Array.from({ length: 5 }, (_, shape) => of(1 + shape)) }
}

function pack({ code, constants }: TileProgram): Int32Array {
  const all = new Int32Array(Math.max(TILE_HEADER, code.length) + constants.length)
  all.set(code)
  all.set(new Int32Array(constants.buffer), code.length)
  return all
}
