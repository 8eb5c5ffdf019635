import { q4_0, q4_1, q8_0 } from '@attune/tensor'
import type { FileStorage } from '../dtypes.ts'
import { iq4_nl, iq4_xs, mxfp4, nvfp4, q2_k, q3_k, q4_k, q5_0, q5_1, q5_k, q6_k, tq1_0, tq2_0 } from './codecs/index.ts'

/** A ggml tensor type: its name, how many values share how many bytes, and how attune reads it, if it does. */
export interface GgmlType {
  readonly name: string
  readonly block: number
  readonly bytes: number
  readonly storage?: FileStorage
}

const plain = (name: string, bytes: number, storage: FileStorage): GgmlType => ({ name, block: 1, bytes, storage })
const packed = (name: string, block: number, bytes: number, storage?: FileStorage): GgmlType => ({ name, block, bytes, storage })

/** Type numbers as they stand in files. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, plain('F32', 4, 'f32')],
  [1, plain('F16', 2, 'f16')],
  [2, packed('Q4_0', 32, 18, q4_0)],
  [3, packed('Q4_1', 32, 20, q4_1)],
  [6, packed('Q5_0', 32, 22, q5_0)],
  [7, packed('Q5_1', 32, 24, q5_1)],
  [8, packed('Q8_0', 32, 34, q8_0)],
  [9, packed('Q8_1', 32, 36)],
  [10, packed('Q2_K', 256, 84, q2_k)],
  [11, packed('Q3_K', 256, 110, q3_k)],
  [12, packed('Q4_K', 256, 144, q4_k)],
  [13, packed('Q5_K', 256, 176, q5_k)],
  [14, packed('Q6_K', 256, 210, q6_k)],
  [15, packed('Q8_K', 256, 292)],
  [16, packed('IQ2_XXS', 256, 66)],
  [17, packed('IQ2_XS', 256, 74)],
  [18, packed('IQ3_XXS', 256, 98)],
  [19, packed('IQ1_S', 256, 50)],
  [20, packed('IQ4_NL', 32, 18, iq4_nl)],
  [21, packed('IQ3_S', 256, 110)],
  [22, packed('IQ2_S', 256, 82)],
  [23, packed('IQ4_XS', 256, 136, iq4_xs)],
  [24, plain('I8', 1, 'i8')],
  [25, plain('I16', 2, 'i16')],
  [26, plain('I32', 4, 'i32')],
  [27, plain('I64', 8, 'i64')],
  [28, plain('F64', 8, 'f64')],
  [29, packed('IQ1_M', 256, 56)],
  [30, plain('BF16', 2, 'bf16')],
  [34, packed('TQ1_0', 256, 54, tq1_0)],
  [35, packed('TQ2_0', 256, 66, tq2_0)],
  [39, packed('MXFP4', 32, 17, mxfp4)],
  [40, packed('NVFP4', 64, 36, nvfp4)],
  [41, packed('Q1_0', 128, 18)],
])
