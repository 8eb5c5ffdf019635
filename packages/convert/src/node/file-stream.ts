import { type FileHandle, open, rm } from 'node:fs/promises'
import { AttuneError } from '@attune/tensor'
import type { StreamStore } from '../stream.ts'
import { hashFile } from './hash-file.ts'

/** Where a stream stands after a `turn`: enough for another process to go on with it. */
export interface StreamState {
  /** Which of the two files holds it. */
  readonly file: 0 | 1
  /** Offset and length in bytes of each window. */
  readonly places: readonly (readonly [at: number, bytes: number])[]
  readonly sha256: string
}

export interface FileStream extends StreamStore {
  /** The stream that `get` reads now, as it lies on the disk. */
  state(): Promise<StreamState>
}

/**
 * A residual stream in the files `path.0`, `path.1` and `path.notes`: one is read while the other is written, so what was there at the
 * last `turn` survives whatever happens after it. `close` removes them unless `keep` is set. With `state` it goes on from there; errors:
 * `ERR_FORMAT` when the file is not what the state says.
 */
export async function fileStream(path: string, options: { keep?: boolean; state?: StreamState } = {}): Promise<FileStream> {
  const { keep = false, state } = options
  if (state) await check(`${path}.${state.file}`, state)
  const names = [`${path}.0`, `${path}.1`, `${path}.notes`]
  const files = await Promise.all(names.map((name, i) => open(name, i === state?.file ? 'r+' : 'w+')))
  let now = new Placed(files[state?.file ?? 0], state?.places)
  let next = new Placed(files[1 - (state?.file ?? 0)])
  let notes = new Placed(files[2])
  return {
    put: (window, values) => next.put(window, values),
    get: window => now.get(window),
    note: (window, values) => notes.put(window, values),
    noted: window => notes.get(window),
    async turn() {
      await next.file.sync()
      ;[now, next, notes] = [next, new Placed(now.file), new Placed(notes.file)]
    },
    async state() {
      const file = now.file === files[0] ? 0 : 1
      return { file, places: now.places, sha256: (await hashFile(names[file], now.end))! }
    },
    async close() {
      await Promise.all(files.map(f => f.close()))
      if (!keep) for (const name of names) await rm(name, { force: true })
    },
  }
}

class Placed {
  readonly places: (readonly [at: number, bytes: number])[]
  end: number
  constructor(
    readonly file: FileHandle,
    places: StreamState['places'] = [],
  ) {
    this.places = [...places]
    this.end = endOf(places)
  }
  async put(window: number, values: Float32Array): Promise<void> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    if (this.places[window]?.[1] !== bytes.length) {
      this.places[window] = [this.end, bytes.length]
      this.end += bytes.length
    }
    const [at] = this.places[window]
    for (let done = 0; done < bytes.length; ) done += (await this.file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
  async get(window: number): Promise<Float32Array> {
    const [at, length] = this.places[window]
    const out = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.file.read(out, done, length - done, at + done)
      if (bytesRead === 0) throw new AttuneError('ERR_FORMAT', `the residual stream ends within window ${window}`, { window })
      done += bytesRead
    }
    return new Float32Array(out.buffer)
  }
}

const endOf = (places: StreamState['places']): number => places.reduce((end, [at, bytes]) => Math.max(end, at + bytes), 0)

async function check(file: string, { places, sha256 }: StreamState): Promise<void> {
  if ((await hashFile(file, endOf(places))) !== sha256)
    throw new AttuneError('ERR_FORMAT', `${file} is not the residual stream that the journal wrote; restart the conversion`, { file })
}
