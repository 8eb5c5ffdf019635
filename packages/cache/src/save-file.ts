import { AttuneError } from '@attune/tensor'

const MAGIC = 'attuneKV'
const VERSION = 1
const HEAD = MAGIC.length + 8

/** Named bytes with facts about them. */
export interface Saved {
  readonly facts: Readonly<Record<string, unknown>>
  readonly parts: Readonly<Record<string, Uint8Array>>
}

/** `attuneKV`, version, length of a JSON header { facts, parts: [name, bytes][] } (both u32, little-endian), the header, the parts in its order. */
export function packSaved({ facts, parts }: Saved): Uint8Array {
  const list = Object.entries(parts)
  const header = new TextEncoder().encode(JSON.stringify({ facts, parts: list.map(([name, bytes]) => [name, bytes.byteLength]) }))
  const out = new Uint8Array(HEAD + header.length + list.reduce((n, [, bytes]) => n + bytes.byteLength, 0))
  out.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(out.buffer)
  view.setUint32(MAGIC.length, VERSION, true)
  view.setUint32(MAGIC.length + 4, header.length, true)
  out.set(header, HEAD)
  let at = HEAD + header.length
  for (const [, bytes] of list) {
    out.set(bytes, at)
    at += bytes.byteLength
  }
  return out
}

/** Errors: `ERR_FORMAT` naming the field and where it stands. */
export function unpackSaved(bytes: Uint8Array): Saved {
  if (bytes.byteLength < HEAD) throw wrong('file', 0, `it has ${bytes.byteLength} bytes, a saved state at least ${HEAD}`)
  if (new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) throw wrong('magic', 0, 'it is not a saved state')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint32(MAGIC.length, true)
  if (version !== VERSION) throw wrong('version', MAGIC.length, `version ${version} is not known, only ${VERSION}`)
  const size = view.getUint32(MAGIC.length + 4, true)
  if (size > bytes.byteLength - HEAD) throw wrong('header length', MAGIC.length + 4, `a header of ${size} bytes does not fit in the file`)
  const { facts, parts } = headerOf(bytes.subarray(HEAD, HEAD + size))
  const out: Record<string, Uint8Array> = Object.create(null)
  let at = HEAD + size
  for (const [i, entry] of parts.entries()) {
    const [name, length] = Array.isArray(entry) ? entry : []
    if (typeof name !== 'string' || !Number.isSafeInteger(length) || length < 0)
      throw wrong(`parts[${i}]`, HEAD, 'it is not a name and a size')
    if (name in out) throw wrong(`parts[${i}]`, HEAD, `'${name}' is there twice`)
    if (length > bytes.byteLength - at) throw wrong(name, at, `its ${length} bytes reach beyond the end of the file`)
    out[name] = bytes.subarray(at, (at += length))
  }
  if (at !== bytes.byteLength) throw wrong('file', at, `${bytes.byteLength - at} bytes belong to no part`)
  return { facts, parts: out }
}

/** The fault of a saved state. */
export const wrong = (field: string, offset: number, what: string): AttuneError =>
  new AttuneError('ERR_FORMAT', `saved state: ${field} at byte ${offset}: ${what}`, { field, offset })

function headerOf(bytes: Uint8Array): { facts: Record<string, unknown>; parts: unknown[] } {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new AttuneError('ERR_FORMAT', `saved state: header at byte ${HEAD}: it is not JSON`, { field: 'header', offset: HEAD }, cause)
  }
  const { facts, parts } = (header ?? {}) as { facts?: unknown; parts?: unknown }
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) throw wrong('facts', HEAD, 'there are none')
  if (!Array.isArray(parts)) throw wrong('parts', HEAD, 'there is no list of parts')
  return { facts: facts as Record<string, unknown>, parts }
}

/** Checks that parts have the names and sizes wanted. Errors: `ERR_FORMAT`. */
export function checkParts(parts: Readonly<Record<string, Uint8Array>>, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes)) {
    const have = parts[name]?.byteLength
    if (have !== size) throw wrong(name, 0, have === undefined ? 'it is missing' : `it has ${have} bytes, the sequence's rows need ${size}`)
  }
  const more = Object.keys(parts).find(name => !(name in sizes))
  if (more !== undefined) throw wrong(more, 0, 'nothing in this model is called so')
}

/** Entries with a prefix before their names, and those that have it, without. */
export const under = <T>(prefix: string, entries: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(entries).map(([name, x]) => [`${prefix}/${name}`, x]))
export const within = <T>(prefix: string, entries: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(entries).flatMap(([name, x]) => (name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), x]] : [])),
  )
