import { AttuneError, bf16ToFloat, bytesOf, floatToBf16, floatToHalf, halfToFloat, isCodec, type Storage } from '@attune/tensor'
import type { PagePool } from './page-pool.ts'

/** Stored rows of every head of a batch row, gathered from its pages. */
export async function headBytes(pool: PagePool, buffer: string, row: number, lengths: readonly number[]): Promise<Uint8Array[]> {
  const all = await pool.read(buffer)
  const [size, rowBytes] = [pool.pageBytes(buffer), pool.rowBytes[buffer]]
  return lengths.map((n, h) => {
    const out = new Uint8Array(n * rowBytes)
    for (const [i, page] of pool.tables.of(row)[h].pages.entries()) {
      const at = i * size
      if (at < out.length) out.set(all.subarray(page * size, page * size + Math.min(size, out.length - at)), at)
    }
    return out
  })
}
/** Lays rows out in pages of a pool's image. */
export function putRows(pool: PagePool, buffer: string, image: Uint8Array, pages: readonly number[], rows: Uint8Array): void {
  const size = pool.pageBytes(buffer)
  for (const [i, page] of pages.entries()) image.set(rows.subarray(i * size, (i + 1) * size), page * size)
}
/** The same rows as numbers. */
export async function storedRows(
  pool: PagePool,
  buffer: string,
  kv: Storage,
  row: number,
  lengths: readonly number[],
): Promise<Float32Array[]> {
  return (await headBytes(pool, buffer, row, lengths)).map(bytes => decodeRows(bytes, kv))
}

export function decodeRows(bytes: Uint8Array, kv: Storage): Float32Array {
  const whole = bytes.slice().buffer
  if (isCodec(kv)) {
    const out = new Float32Array((bytes.length / bytesOf(kv, kv.block)) * kv.block)
    kv.decode(bytes, out)
    return out
  }
  if (kv === 'f32') return new Float32Array(whole)
  return Float32Array.from(new Uint16Array(whole), kv === 'f16' ? halfToFloat : bf16ToFloat)
}
export function encodeRows(numbers: Float32Array, kv: Storage): Uint8Array {
  if (isCodec(kv)) {
    if (!kv.encode) throw new AttuneError('ERR_UNSUPPORTED', `rows of ${kv.name} cannot be written on the host`, { codec: kv.name })
    const out = new Uint8Array(bytesOf(kv, numbers.length))
    kv.encode(numbers, out)
    return out
  }
  if (kv === 'f32') return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
  return new Uint8Array(Uint16Array.from(numbers, kv === 'f16' ? floatToHalf : floatToBf16).buffer)
}
