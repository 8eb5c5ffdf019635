import type { TensorEntry } from './checkpoint.ts'
import { type FileStorage, fileBytes } from './dtypes.ts'

export interface Derived {
  readonly dtype: FileStorage
  readonly shape: readonly number[]
  /** Rows made at a time; what asks for fewer makes no more than it asked for. */
  readonly step: number
  /** Puts rows [from, to) into `target`. */
  fill(from: number, to: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
}

/** A tensor made from another one when it is read: every way to read it follows from how its rows are made. */
export function derived({ name, file, byteOffset }: TensorEntry, { dtype, shape, step, fill }: Derived): TensorEntry {
  const [rows] = shape
  const rowBytes = fileBytes(
    dtype,
    shape.slice(1).reduce((n, d) => n * d, 1),
  )
  const into = async (from: number, to: number, target: Uint8Array, signal?: AbortSignal) => {
    for (let row = from; row < to; row += step) {
      const end = Math.min(to, row + step)
      await fill(row, end, target.subarray((row - from) * rowBytes, (end - from) * rowBytes), signal)
    }
    return target
  }
  return {
    ...{ name, file, byteOffset, dtype, shape, bytes: rows * rowBytes },
    readInto: async (target, signal) => void (await into(0, rows, target, signal)),
    read: signal => into(0, rows, new Uint8Array(rows * rowBytes), signal),
    readRows: (from, to, signal) => into(from, to, new Uint8Array((to - from) * rowBytes), signal),
    async *pieces(signal) {
      const memory = new Uint8Array(Math.min(step, rows) * rowBytes)
      for (let row = 0; row < rows; row += step) {
        const end = Math.min(rows, row + step)
        const piece = memory.subarray(0, (end - row) * rowBytes)
        await fill(row, end, piece, signal)
        yield piece
      }
    },
  }
}
