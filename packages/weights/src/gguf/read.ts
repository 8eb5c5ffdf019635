import { AttuneError } from '@attune/tensor'
import { formatError, show } from '../error.ts'
import type { ByteSource } from '../source.ts'
import { Cursor } from './cursor.ts'
import { GGML_TYPES, type GgmlType } from './types.ts'
import { type GgufValue, readValue } from './value.ts'

export interface GgufTensor {
  readonly name: string
  readonly type: GgmlType
  /** Row-major: the axis that varies fastest comes last (the file stores it first). */
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly byteOffset: number
  readonly bytes: number
}

export interface Gguf {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  /** Where in the file each metadata key stands. */
  readonly offsets: ReadonlyMap<string, number>
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

const MAX_HEADER = 64 << 20
const [HELD_BY_KEY, HELD_BY_TENSOR] = [200, 500] // bytes in memory beside the names

/** Reads the header of a GGUF file (version 2 or 3) and checks all of it against the file's size. Errors: `ERR_FORMAT`, `ERR_UNSUPPORTED`. */
export async function readGguf(source: ByteSource, signal?: AbortSignal): Promise<Gguf> {
  const at = new Cursor(source, signal)
  if ((await at.u32()) !== 0x46554747) throw formatError(source.name, 'magic', 0, 'not a GGUF file')
  at.field = 'version'
  const version = await at.u32()
  if (version !== 2 && version !== 3) {
    if (version === 1 || (version & 0xffff) === 0)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${source.name}: GGUF ${version === 1 ? 'version 1' : 'in big-endian byte order'} is not read; convert the model again`,
        { file: source.name, version },
      )
    throw formatError(source.name, 'version', 4, `version ${version} is not 2 or 3`)
  }
  at.field = 'tensor count'
  const tensorCount = await at.count(24)
  at.field = 'metadata count'
  const { metadata, offsets } = await readMetadata(at, await at.count(13))
  const infos = await readInfos(at, tensorCount)
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment !== 'number' || alignment < 1 || alignment > 1 << 20 || !Number.isInteger(Math.log2(alignment)))
    throw formatError(source.name, 'general.alignment', offsets.get('general.alignment')!, `${String(alignment)} is not a power of two`)
  const dataStart = Math.ceil(at.offset / alignment) * alignment
  return { version, metadata, offsets, tensors: place(source, infos, dataStart, alignment) }
}

async function readMetadata(at: Cursor, count: number): Promise<Pick<Gguf, 'metadata' | 'offsets'>> {
  const metadata = new Map<string, GgufValue>()
  const offsets = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    at.field = `metadata key ${i}`
    const offset = at.offset
    const key = await at.string(65535)
    at.field = key
    if (metadata.has(key)) throw at.fail('duplicate key')
    at.hold(HELD_BY_KEY)
    offsets.set(key, offset)
    metadata.set(key, await readValue(at, await at.u32()))
    if (at.offset > MAX_HEADER) throw at.fail(`the metadata is larger than ${MAX_HEADER} bytes`)
  }
  return { metadata, offsets }
}

interface Info {
  name: string
  shape: number[]
  type: GgmlType
  offset: number
  bytes: number
  seenAt: number
}

async function readInfos(at: Cursor, count: number): Promise<Info[]> {
  const names = new Set<string>()
  const infos: Info[] = []
  for (let i = 0; i < count; i++) {
    at.field = `tensor ${i} name`
    const seenAt = at.offset
    const name = await at.string(4096)
    at.field = `${show(name)}.name`
    if (names.has(name)) throw at.fail('duplicate tensor name', { tensor: name })
    at.hold(HELD_BY_TENSOR)
    names.add(name)
    infos.push({ name, seenAt, ...(await readInfo(at, name)) })
  }
  return infos
}

async function readInfo(at: Cursor, name: string): Promise<Omit<Info, 'name' | 'seenAt'>> {
  at.field = `${show(name)}.n_dims`
  const rank = await at.u32()
  if (rank > 4) throw at.fail(`${rank} dimensions, GGUF allows 4`, { tensor: name })
  at.field = `${show(name)}.shape`
  const dims: bigint[] = []
  for (let i = 0; i < rank; i++) dims.push(await at.u64())
  const elements = dims.reduce((n, d) => n * d, 1n)
  if (elements > 1n << 52n || dims.some(d => d > 1n << 52n)) throw at.fail(`[${dims}] is more than a file can hold`, { tensor: name })
  at.field = `${show(name)}.type`
  const id = await at.u32()
  const type = GGML_TYPES.get(id)
  if (!type) throw at.fail(`type number ${id} is not a ggml type`, { tensor: name, type: id })
  const width = rank ? Number(dims[0]) : 1
  if (width % type.block !== 0)
    throw at.fail(`rows of ${width} values are not whole blocks of ${type.name} (${type.block})`, { tensor: name })
  at.field = `${show(name)}.offset`
  const offset = await at.u64()
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw at.fail(`${offset} lies outside any file`, { tensor: name })
  return { shape: dims.map(Number).reverse(), type, offset: Number(offset), bytes: (Number(elements) / type.block) * type.bytes }
}

/** Tensors follow one another with padding to the alignment only: an overlap or a gap means a damaged header. */
function place(source: ByteSource, infos: Info[], dataStart: number, alignment: number): Map<string, GgufTensor> {
  let end = 0
  for (const { name, offset, bytes, seenAt } of [...infos].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    const bad = (why: string) => formatError(source.name, `${show(name)}.offset`, seenAt, why, { tensor: name, offsetInData: offset })
    if (offset % alignment !== 0) throw bad(`${offset} is not a multiple of the alignment ${alignment}`)
    const expected = Math.ceil(end / alignment) * alignment
    if (offset !== expected)
      throw bad(`starts at ${offset}, ${offset < expected ? 'inside' : 'with a gap after'} the tensor before, which ends at ${expected}`)
    end = offset + bytes
    if (dataStart + end > source.size) throw bad(`ends at byte ${dataStart + end} of a file of ${source.size}: truncated`)
  }
  const left = source.size - dataStart - end
  if (left >= alignment)
    throw formatError(source.name, 'data', dataStart + end, `${left} bytes are left over after the last tensor`, { left })
  return new Map(infos.map(({ name, shape, type, offset, bytes }) => [name, { name, shape, type, byteOffset: dataStart + offset, bytes }]))
}
