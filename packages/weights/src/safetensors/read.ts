import { AttuneError } from '@attune/tensor'
import { type TensorEntry, tensorEntry } from '../checkpoint.ts'
import { type FileDType, fileBytes } from '../dtypes.ts'
import { formatError, show } from '../error.ts'
import { isObject } from '../json.ts'
import type { ByteSource } from '../source.ts'
import { headerEntries } from './header.ts'

export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, TensorEntry>
}

/** Names in a header → dtypes. https://huggingface.co/docs/safetensors */
export const SAFETENSORS_DTYPES: Readonly<Record<string, FileDType>> = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  F8_E4M3: 'f8_e4m3',
  F8_E5M2: 'f8_e5m2',
  F8_E4M3FNUZ: 'f8_e4m3fnuz',
  F8_E5M2FNUZ: 'f8_e5m2fnuz',
  F8_E8M0: 'f8_e8m0',
  I64: 'i64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U64: 'u64',
  U32: 'u32',
  U16: 'u16',
  U8: 'u8',
  BOOL: 'bool',
}
const KNOWN_UNREAD = ['F4', 'F6_E2M3', 'F6_E3M2', 'C64']
const MAX_HEADER = 100_000_000 // the reference implementation's limit
const MAX_TENSORS = 1 << 16 // of one file; the largest published models have fewer in all their files

/** Reads the header of a safetensors file and checks all of it against the file's size. Errors: `ERR_FORMAT`, `ERR_UNSUPPORTED`. */
export async function readSafetensors(source: ByteSource, signal?: AbortSignal): Promise<Safetensors> {
  const file = source.name
  if (source.size < 10) throw formatError(file, 'header size', 0, `the file has ${source.size} bytes, no header fits`)
  const claimed = new DataView((await source.read(0, 8, signal)).buffer).getBigUint64(0, true)
  if (claimed > BigInt(Math.min(MAX_HEADER, source.size - 8)))
    throw formatError(file, 'header size', 0, `${claimed} bytes claimed, the file has ${source.size - 8} and the limit is ${MAX_HEADER}`)
  const headerBytes = Number(claimed)
  const dataStart = 8 + headerBytes
  let metadata: Record<string, string> = {}
  const ranges: Range[] = []
  for await (const { name, offset, value } of headerEntries(source, headerBytes, signal)) {
    if (name === '__metadata__') {
      metadata = readMetadata(file, value, offset)
      continue
    }
    if (ranges.length === MAX_TENSORS) throw formatError(file, show(name), offset, `more than ${MAX_TENSORS} tensors`)
    ranges.push({ name, offset, ...readInfo(file, name, offset, value) })
  }
  checkCovered(file, ranges, source.size - dataStart)
  const entries = ranges.map(({ name, dtype, shape, begin }) => tensorEntry(source, { name, dtype, shape, byteOffset: dataStart + begin }))
  return { metadata, tensors: new Map(entries.map(e => [e.name, e])) }
}

interface Info {
  dtype: FileDType
  shape: number[]
  begin: number
  end: number
}
interface Range extends Info {
  name: string
  offset: number
}

function readMetadata(file: string, metadata: unknown, offset: number): Record<string, string> {
  if (!isObject(metadata)) throw formatError(file, '__metadata__', offset, 'not an object')
  for (const [key, text] of Object.entries(metadata))
    if (typeof text !== 'string') throw formatError(file, `__metadata__.${key}`, offset, 'not a string')
  return metadata as Record<string, string>
}

function readInfo(file: string, name: string, offset: number, info: unknown): Info {
  const bad = (field: string, why: string) => formatError(file, `${show(name)}.${field}`, offset, why, { tensor: name })
  if (!isObject(info)) throw formatError(file, name, offset, 'not an object', { tensor: name })
  for (const key of Object.keys(info))
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') throw bad(key, 'not a field of a tensor')
  const { dtype: dtypeName, shape, data_offsets: range } = info
  if (typeof dtypeName !== 'string') throw bad('dtype', 'not a string')
  if (KNOWN_UNREAD.includes(dtypeName))
    throw new AttuneError('ERR_UNSUPPORTED', `${file}: tensor ${show(name)} has dtype ${dtypeName}, which attune does not read`, {
      file,
      tensor: name,
      dtype: dtypeName,
    })
  const dtype = Object.hasOwn(SAFETENSORS_DTYPES, dtypeName) ? SAFETENSORS_DTYPES[dtypeName] : undefined
  if (!dtype) throw bad('dtype', `${JSON.stringify(show(dtypeName))} is not a safetensors dtype`)
  if (!Array.isArray(shape) || !shape.every(isCount) || shape.length > 32)
    throw bad('shape', 'not a list of at most 32 whole numbers from 0 up')
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount) || range[0] > range[1])
    throw bad('data_offsets', 'not two whole numbers in rising order')
  const bytes = fileBytes(
    dtype,
    shape.reduce((n, d) => n * d, 1),
  )
  const [begin, end] = range as [number, number]
  if (!Number.isSafeInteger(bytes)) throw bad('shape', `${bytes} bytes are more than a file can have`)
  if (end - begin !== bytes) throw bad('data_offsets', `${end - begin} bytes, but shape [${shape}] of ${dtypeName} takes ${bytes}`)
  return { dtype, shape, begin, end }
}

const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0 && !Object.is(x, -0)

/** Tensors must cover the data exactly: no gap, no overlap, nothing missing, nothing left. */
function checkCovered(file: string, ranges: readonly Range[], dataBytes: number): void {
  let at = 0
  for (const { name, offset, begin, end } of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const field = `${show(name)}.data_offsets`
    if (begin !== at)
      throw formatError(
        file,
        field,
        offset,
        `starts at ${begin}, ${begin < at ? 'inside' : 'with a gap after'} the tensor before, which ends at ${at}`,
        { tensor: name },
      )
    if (end > dataBytes)
      throw formatError(file, field, offset, `ends at ${end}, but the file has ${dataBytes} bytes of data: truncated`, { tensor: name })
    at = end
  }
  if (at !== dataBytes)
    throw formatError(file, 'data', 8, `${dataBytes} bytes of data, but the tensors take ${at}`, { dataBytes, used: at })
}
