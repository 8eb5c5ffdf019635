import { type FileHandle, open, rm } from 'node:fs/promises'
import type { StreamStore } from '../stream.ts'

/** A residual stream kept in a temporary file at `path`, which is removed when the walk is over: call `close`. */
export async function fileStream(path: string): Promise<StreamStore> {
  const file: FileHandle = await open(path, 'w+')
  const places = new Map<number, { at: number; length: number }>()
  let end = 0
  return {
    async put(window, values) {
      let place = places.get(window)
      if (!place || place.length !== values.length) {
        place = { at: end, length: values.length }
        places.set(window, place)
        end += values.byteLength
      }
      await file.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 0, values.byteLength, place.at)
    },
    async get(window) {
      const { at, length } = places.get(window)!
      const out = new Float32Array(length)
      await file.read(new Uint8Array(out.buffer), 0, out.byteLength, at)
      return out
    },
    async close() {
      await file.close()
      await rm(path, { force: true })
    },
  }
}
