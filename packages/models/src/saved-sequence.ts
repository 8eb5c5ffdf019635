import { type BatchBuffers, checkParts, packSaved, type States, unpackSaved, wrong } from '@attune/cache'
import { AttuneError, type Storage, storageName } from '@attune/tensor'
import type { Model } from './model.ts'

/** What a runner's saved sequences depend on. */
export interface SavedBy {
  readonly model: Model
  readonly states: States
  readonly drawn: BatchBuffers
  readonly kv: Storage
  /** Which cache manager keeps the rows. */
  readonly cache: string
}
export interface Standing {
  readonly rows: number
  readonly position: number
}

/** A sequence as bytes, with parts of the caller's own. Errors: `ERR_UNSUPPORTED` where the cache cannot save. */
export async function saveSequence(
  by: SavedBy,
  row: number,
  { rows, position }: Standing,
  own: Readonly<Record<string, Uint8Array>>,
): Promise<Uint8Array> {
  const parts = {
    ...(rows > 0 ? await by.states.save(row, rows) : {}),
    drawn: await by.drawn.readRow('drawn', row),
    ...Object.fromEntries(Object.entries(own).map(([name, bytes]) => [`own/${name}`, bytes])),
  }
  const facts = {
    model: await fingerprint(by.model),
    cache: by.cache,
    kv: storageName(by.kv),
    rows,
    position,
    memory: by.states.memory.length(row),
  }
  return packSaved({ facts, parts })
}

/** Reads a saved sequence without changing anything. Errors: `ERR_FORMAT`; `ERR_ARGUMENT` for another model's, cache's or element type's. */
export async function readSequence(by: SavedBy, bytes: Uint8Array) {
  const { facts, parts } = unpackSaved(bytes)
  const count = (name: 'rows' | 'position' | 'memory'): number => {
    const n = facts[name]
    if (typeof n !== 'number' || !Number.isInteger(n) || n < 0 || n > 2 ** 31 - 1)
      throw wrong(`facts.${name}`, 0, `${JSON.stringify(n)} is not a count`)
    return n
  }
  const mine = { model: await fingerprint(by.model), cache: by.cache, kv: storageName(by.kv) }
  for (const [name, want] of Object.entries(mine)) {
    const have = facts[name]
    if (typeof have !== 'string') throw wrong(`facts.${name}`, 0, 'it is missing')
    if (have !== want)
      throw new AttuneError('ERR_ARGUMENT', `the saved sequence is of another ${name}: '${have}', here it is '${want}'`, {
        name,
        have,
        want,
      })
  }
  const [rows, position, memory] = [count('rows'), count('position'), count('memory')]
  const state: Record<string, Uint8Array> = {}
  const own: Record<string, Uint8Array> = {}
  for (const [name, part] of Object.entries(parts)) {
    if (name.startsWith('own/')) own[name.slice(4)] = part
    else state[name] = part
  }
  checkParts(state, { ...(rows > 0 ? by.states.savedBytes(rows, memory) : {}), drawn: 4 })
  return { rows, position, memory, state, own }
}

/** Names a model: its Spec and its small weights. */
async function fingerprint({ spec, values }: Model): Promise<string> {
  let hash = fold(fold([0x811c9dc5, 0x1b873593], new TextEncoder().encode(JSON.stringify(spec))), new Uint8Array(1))
  for (const [path, { weight }] of [...values].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash = fold(hash, new TextEncoder().encode(`${path} ${storageName(weight.dtype)} ${weight.shape}`))
    if (weight.byteLength <= SMALL) hash = fold(hash, await weight.bytes())
  }
  return hash.map(x => (x >>> 0).toString(16).padStart(8, '0')).join('')
}
/** Norms and biases tell models of one shape apart; matrices need not be read. */
const SMALL = 16384

function fold([a, b]: readonly [number, number], bytes: Uint8Array): [number, number] {
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte, 0x85ebca6b) ^ (b >>> 15)
  }
  return [a, b]
}
