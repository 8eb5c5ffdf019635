import type { Cursor } from './cursor.ts'

/** A metadata value. 64-bit integers are numbers where a number holds them exactly, else bigints; arrays of numbers stay typed. */
export type GgufValue = number | bigint | boolean | string | GgufArray
export type GgufArray =
  | readonly GgufValue[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array

const ARRAY = 9
const STRING = 8
const EACH = 32 // bytes a single value may take in memory

interface ValueType {
  /** Fewest bytes a value takes. */
  bytes: number
  read(at: Cursor): Promise<GgufValue>
  typed?(bytes: Uint8Array): GgufArray
}

const number = (
  name: 'Uint8' | 'Int8' | 'Uint16' | 'Int16' | 'Uint32' | 'Int32' | 'Float32' | 'Float64',
  bytes: number,
  typed: (b: ArrayBufferLike) => GgufArray,
): ValueType => ({
  bytes,
  read: at => at.number(name, bytes),
  typed: b => typed(b.buffer),
})

const VALUE_TYPES: readonly ValueType[] = [
  number('Uint8', 1, b => new Uint8Array(b)),
  number('Int8', 1, b => new Int8Array(b)),
  number('Uint16', 2, b => new Uint16Array(b)),
  number('Int16', 2, b => new Int16Array(b)),
  number('Uint32', 4, b => new Uint32Array(b)),
  number('Int32', 4, b => new Int32Array(b)),
  number('Float32', 4, b => new Float32Array(b)),
  { bytes: 1, read: readBool },
  { bytes: 8, read: at => at.string() },
  { bytes: 12, read: at => readArray(at, 1) },
  { bytes: 8, read: async at => exact(await at.u64()) },
  { bytes: 8, read: async at => exact(await at.i64()) },
  number('Float64', 8, b => new Float64Array(b)),
]

export function readValue(at: Cursor, type: number): Promise<GgufValue> {
  return valueType(at, type).read(at)
}

function valueType(at: Cursor, type: number): ValueType {
  const found = VALUE_TYPES[type]
  if (!found) throw at.fail(`value type ${type} does not exist`)
  return found
}

async function readArray(at: Cursor, depth: number): Promise<GgufValue> {
  const id = await at.u32()
  const type = valueType(at, id)
  const count = await at.count(type.bytes)
  if (type.typed) return type.typed(await at.bytes(count * type.bytes))
  if (id === STRING) return at.strings(count)
  if (id === ARRAY && depth === 4) throw at.fail('arrays nested more than 4 deep')
  at.hold(EACH * count)
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(id === ARRAY ? await readArray(at, depth + 1) : await type.read(at))
  return values
}

async function readBool(at: Cursor): Promise<boolean> {
  const byte = await at.number('Uint8', 1)
  if (byte > 1) throw at.fail(`${byte} is not a boolean`)
  return byte === 1
}

const exact = (n: bigint): number | bigint =>
  n >= -BigInt(Number.MAX_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n
