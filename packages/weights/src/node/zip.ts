import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { AttuneError } from '@attune/tensor'
import { abortError, formatError, show } from '../error.ts'
import type { ByteSource } from '../source.ts'

export interface ZipEntry {
  readonly name: string
  readonly size: number
  readonly packedSize: number
  readonly stored: boolean
  readonly headerOffset: number
}

const END = 0x06054b50
const ENTRY = 0x02014b50
const LOCAL = 0x04034b50

/** Lists a zip file from its directory at the end. Errors: `ERR_FORMAT`, `ERR_UNSUPPORTED` (zip64, encryption, other methods). */
export async function readZip(source: ByteSource, signal?: AbortSignal): Promise<ZipEntry[]> {
  const tailAt = Math.max(0, source.size - 65557)
  const tail = view(await source.read(tailAt, source.size - tailAt, signal))
  let end = tail.byteLength - 22
  while (end >= 0 && tail.getUint32(end, true) !== END) end--
  if (end < 0) throw formatError(source.name, 'end of directory', tailAt, 'not a zip file')
  const [count, size, offset] = [tail.getUint16(end + 10, true), tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)]
  if (count === 0xffff || offset === 0xffffffff)
    throw new AttuneError('ERR_UNSUPPORTED', `${source.name}: zip64 is not read`, { file: source.name })
  if (offset + size > source.size) throw formatError(source.name, 'directory', offset, 'lies outside the file')
  return entries(source, await source.read(offset, size, signal), count, offset)
}

function entries(source: ByteSource, bytes: Uint8Array, count: number, base: number): ZipEntry[] {
  const directory = view(bytes)
  const found: ZipEntry[] = []
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > bytes.length || directory.getUint32(at, true) !== ENTRY)
      throw formatError(source.name, `entry ${i}`, base + at, 'not a directory entry')
    const u16 = (from: number) => directory.getUint16(at + from, true)
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + u16(28)))
    const method = u16(10)
    if (u16(8) & 1 || (method !== 0 && method !== 8))
      throw new AttuneError('ERR_UNSUPPORTED', `${source.name}: ${show(name)} is encrypted or packed by method ${method}`, {
        file: source.name,
        entry: name,
      })
    found.push({
      name,
      stored: method === 0,
      packedSize: directory.getUint32(at + 20, true),
      size: directory.getUint32(at + 24, true),
      headerOffset: directory.getUint32(at + 42, true),
    })
    at += 46 + u16(28) + u16(30) + u16(32)
  }
  return found
}

/** Unpacks one entry to `path`, through `path.part`, and gives its sha256. */
export async function extract(
  source: ByteSource,
  entry: ZipEntry,
  path: string,
  options: { signal?: AbortSignal; onProgress?(loaded: number): void } = {},
): Promise<string> {
  const { signal, onProgress } = options
  const bad = (why: string) => formatError(source.name, show(entry.name), entry.headerOffset, why)
  if (entry.headerOffset + 30 > source.size) throw bad('lies outside the file')
  const local = view(await source.read(entry.headerOffset, 30, signal))
  if (local.getUint32(0, true) !== LOCAL) throw bad('not an entry')
  const start = entry.headerOffset + 30 + local.getUint16(26, true) + local.getUint16(28, true)
  if (start + entry.packedSize > source.size) throw bad('lies outside the file')

  const hash = createHash('sha256')
  let loaded = 0
  const count = new Transform({
    transform(piece, _, done) {
      loaded += piece.length
      if (loaded > entry.size) return done(bad(`unpacks to more than ${entry.size} bytes`))
      hash.update(piece)
      onProgress?.(loaded)
      done(null, piece)
    },
  })
  const packed = Readable.from(pieces(source, start, entry.packedSize, signal))
  const part = `${path}.part`
  try {
    const stages = entry.stored ? [packed, count] : [packed, createInflateRaw(), count]
    await pipeline([...stages, createWriteStream(part)], { signal })
    if (loaded !== entry.size) throw bad(`unpacks to ${loaded} bytes, not ${entry.size}`)
    await rename(part, path)
    return hash.digest('hex')
  } catch (cause) {
    await rm(part, { force: true })
    if (signal?.aborted) throw abortError(signal, `unpacking ${entry.name}`)
    throw cause instanceof AttuneError ? cause : bad((cause as Error).message)
  }
}

async function* pieces(source: ByteSource, start: number, length: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const step = 1 << 20
  for (let at = 0; at < length; at += step) yield await source.read(start + at, Math.min(step, length - at), signal)
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
