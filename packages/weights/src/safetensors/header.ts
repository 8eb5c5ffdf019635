import { formatError, show } from '../error.ts'
import { parseJson } from '../json.ts'
import type { ByteSource } from '../source.ts'

/** One name of a header and what stands behind it. */
export interface HeaderEntry {
  readonly name: string
  /** Where the name stands in the file. */
  readonly offset: number
  readonly value: unknown
}

const PAGE = 1 << 18
const LONGEST = 4 << 20 // of one entry; trainers put long notes under __metadata__
const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c]
const [OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d]

/**
 * The entries of a safetensors header (`bytes` from byte 8 on) one after another, so that memory does not grow with what a file claims: pages
 * are read as they are needed, only one entry is parsed at a time, names that come twice are refused. Errors: `ERR_FORMAT`.
 */
export async function* headerEntries(source: ByteSource, bytes: number, signal?: AbortSignal): AsyncGenerator<HeaderEntry> {
  const file = source.name
  const end = 8 + bytes
  let start = 8 // of the window in the file
  let window = await source.read(8, Math.min(PAGE, bytes), signal)
  let at = 0
  const fail = (why: string, field = 'header', offset = start + at) => formatError(file, field, offset, why)
  /** Makes room for an entry that does not end in the window. */
  const grow = async (from: number) => {
    const length = Math.min(Math.max(PAGE, 2 * (window.length - from)), end - start - from)
    if (window.length - from > LONGEST) throw fail(`longer than ${LONGEST} bytes`, 'header entry', start + from)
    start += from
    at -= from
    window = await source.read(start, length, signal)
  }
  const more = () => start + window.length < end
  /** The next byte that is no white space; −1 at the end of the header. */
  const next = async (): Promise<number> => {
    for (;;) {
      while (at < window.length && isSpace(window[at])) at++
      if (at < window.length) return window[at]
      if (!more()) return -1
      await grow(at)
    }
  }

  if (window[0] !== OPEN) throw fail('does not start with {')
  at = 1
  const names = new Set<string>()
  for (let first = true; ; first = false) {
    let byte = await next()
    if (first && byte === CLOSE) break
    if (byte !== QUOTE) throw fail('not JSON: a name is expected')
    let length = entryLength(window, at)
    while (length === 0 && more()) {
      await grow(at)
      length = entryLength(window, at)
    }
    if (length === 0) throw fail('not JSON: an entry without an end')
    if (length < 0) throw fail('not JSON: an entry that is nested too deeply')
    const { value, offsets } = parseJson(file, braced(window.subarray(at, at + length)), 'header', start + at - 1)
    const found = Object.entries(value)
    if (found.length !== 1) throw fail('not JSON: a name with a value is expected')
    const [name] = found[0]
    const offset = offsets.get(name) ?? start + at
    if (names.has(name)) throw fail('duplicate name', show(name), offset)
    names.add(name)
    yield { name, offset, value: found[0][1] }
    at += length
    byte = await next()
    if (byte === CLOSE) break
    if (byte !== COMMA) throw fail('not JSON: , or } is expected')
    at++
  }
  at++
  if ((await next()) !== -1) throw fail('more bytes after the closing }')
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
const DEEPEST = 8

/** Bytes from the quote at `at` to the comma or brace after the value; 0 where the window ends before, −1 where it nests too deeply. */
function entryLength(bytes: Uint8Array, at: number): number {
  let depth = 0
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++
    } else if (byte === OPEN || byte === OPEN_LIST) {
      if (++depth > DEEPEST) return -1
    } else if (depth > 0) {
      if (byte === CLOSE || byte === CLOSE_LIST) depth--
    } else if (byte === COMMA || byte === CLOSE || byte === CLOSE_LIST) return i - at
  }
  return 0
}

function braced(entry: Uint8Array): Uint8Array {
  const out = new Uint8Array(entry.length + 2)
  out[0] = OPEN
  out.set(entry, 1)
  out[out.length - 1] = CLOSE
  return out
}
