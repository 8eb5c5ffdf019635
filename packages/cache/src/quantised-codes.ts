import { type Expr, variable } from '@attune/expr'
import { type Dim, mapExpr, mapWith, max, min, type Tensor } from '@attune/tensor'

/** How numbers are coded: `bits` a number, one scale and one middle, a byte each, for every group. */
export interface Coding {
  readonly bits: 4 | 8
  /** Numbers along the width that share a scale; 0: a scale per channel, shared by the tokens of a group. */
  readonly along: number
}

/** Coded rows of whole token groups. */
export interface Coded<T = Tensor> {
  /** (M, G, heads, width · bits / 8) u8; two 4-bit codes a byte, of number i and i + width / 2. */
  readonly codes: T
  /** Scales (M, 1 | G, heads, scales) u8: the step between codes is 2^(scale / 12 − 14). */
  readonly scale: T
  /** The middle of a group's range (M, 1 | G, heads, scales) u8, in steps of 1/32 of the range, 128 for zero. */
  readonly middle: T
}

/** Shapes of one group's codes, scales and middles, all u8. */
export const codedShape = ({ bits, along }: Coding, group: number, heads: number, width: number): Coded<readonly number[]> => {
  const stats = along === 0 ? [1, heads, width] : [group, heads, width / along]
  return { codes: [group, heads, (width * bits) / 8], scale: stats, middle: stats }
}

/** Rows (M, G, heads, width) f32 as codes. Everything on the device, by primitives. */
export function encodeRows(x: Tensor, coding: Coding): Coded {
  const [m, g, heads, width] = x.shape
  const { along } = coding
  const grouped = along === 0 ? x : x.reshape([m, g, heads, (width as number) / along, along])
  const axis = along === 0 ? 1 : -1
  const [low, high] = [min(grouped, axis, true), max(grouped, axis, true)]
  const shape = along === 0 ? low.shape : low.shape.slice(0, -1)
  const levels = 2 ** coding.bits - 1
  const slack = SLACK[coding.bits]
  // A range far from zero takes coarser steps, so that its middle still fits a byte.
  const scale = mapWith(
    (lo, hi) =>
      scaleCode(
        hi
          .sub(lo)
          .div(levels - slack.middle)
          .max(
            lo
              .add(hi)
              .abs()
              .div(2 * 127 * unit(coding)),
          ),
        slack.scale,
      ),
    [low, high],
  )
  const middle = mapWith(
    (lo, hi, c) =>
      lo
        .add(hi)
        .mul(0.5)
        .div(stepOf(c).mul(unit(coding)))
        .add(128.5)
        .floor()
        .max(1)
        .min(255),
    [low, high, scale],
  )
  const codes = mapWith(
    (v, c, z) => v.div(stepOf(c)).sub(offset(z, coding)).add(0.5).floor().max(0).min(levels),
    [grouped, scale, middle],
  ).reshape([m, g, heads, width])
  const bytes = (t: Tensor, own: readonly Dim[]) => mapExpr(variable('x0', 'f32').i32(), [t.reshape(own)], { dtype: 'u8' })
  return { codes: packed(codes, coding), scale: bytes(scale, shape), middle: bytes(middle, shape) }
}

/** The rows that codes (…, G, heads, …) stand for, (…, G, heads, width) f32. */
export function decodeRows({ codes, scale, middle }: Coded, coding: Coding): Tensor {
  const width = ((codes.shape[codes.rank - 1] as number) * 8) / coding.bits
  const lead = codes.shape.slice(0, -1)
  const { along } = coding
  // Axes of a row: (half, scales of a half, numbers of a scale).
  const halves = coding.bits === 4 ? 2 : 1
  const half = width / halves
  // Either a scale for every number, or for all, or whole ones in a half.
  const [scales, numbers] = along === 0 ? [half, 1] : along === width ? [1, half] : [half / along, along]
  const q = variable('x0', 'i32')
  const i = variable(`i${lead.length}`, 'i32')
  const code = (halves === 1 ? q : i.eq(0).select(q.mod(16), q.idiv(16))).f32()
  const value = code.add(offset(variable('x2', 'f32'), coding)).mul(stepOf(variable('x1', 'f32')))
  const operands = [
    split(codes, [1, scales, numbers]),
    ...[scale, middle].map(s => split(s, along === width ? [1, 1, 1] : [halves, scales, 1])),
  ]
  const out = mapExpr(value, operands, { dtype: 'f32', shape: [...lead, halves, scales, numbers] })
  return out.reshape([...lead, width])
}

/** Two codes a byte. */
function packed(codes: Tensor, { bits }: Coding): Tensor {
  const last = codes.rank - 1
  if (bits === 8) return mapExpr(variable('x0', 'f32').i32(), [codes], { dtype: 'u8' })
  const half = (codes.shape[last] as number) / 2
  const [low, high] = [codes.slice(last, 0, half), codes.slice(last, half, 2 * half)]
  const byte = variable('x0', 'f32').add(variable('x1', 'f32').mul(16)).i32()
  return mapExpr(byte, [low, high], { dtype: 'u8' })
}

/** The last axis as three. */
function split(t: Tensor, [a, b, c]: readonly [number, number, number]): Tensor {
  const last = t.strides[t.rank - 1]
  const steps = [a === 1 ? 0 : b * c * last, b === 1 ? 0 : c * last, c === 1 ? 0 : last]
  return t.view([...t.shape.slice(0, -1), a, b, c], [...t.strides.slice(0, -1), ...steps])
}

/** Steps between the middles a byte can say. */
const unit = ({ bits }: Coding): number => 2 ** bits / 32
/** Numbers are (code + offset) · step. */
const offset = (middle: Expr, coding: Coding): Expr =>
  middle
    .sub(128)
    .mul(unit(coding))
    .sub((2 ** coding.bits - 1) / 2)
const LN2 = Math.LN2
/** Room for rounding scale and middle: many fine steps must all be inside the range; of few, the outermost may be cut by a fraction. */
const SLACK = { 4: { scale: 0.5, middle: 0 }, 8: { scale: 1 - 2 ** -10, middle: 8 } }
const stepOf = (code: Expr): Expr =>
  code
    .mul(LN2 / 12)
    .sub(14 * LN2)
    .exp()
const scaleCode = (step: Expr, slack: number): Expr =>
  step
    .max(2 ** -14)
    .log()
    .add(14 * LN2)
    .mul(12 / LN2)
    .add(slack)
    .floor()
    .max(0)
    .min(255)
