import { formatError } from './error.ts'

/** Parses UTF-8 JSON that must be an object, refusing duplicate keys at any depth. `base` is where `bytes` start in the file, for errors. */
export function parseJson(
  file: string,
  bytes: Uint8Array,
  field = 'JSON',
  base = 0,
): { value: Record<string, unknown>; offsets: Map<string, number> } {
  let text: string
  const deep = tooDeep(bytes)
  if (deep >= 0) throw formatError(file, field, base + deep, `nested more than ${DEEPEST} deep`)
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw formatError(file, field, base, 'not UTF-8', {}, cause)
  }
  const value = jsonOf(file, text, field, base)
  if (!isObject(value)) throw formatError(file, field, base, 'not a JSON object')
  return { value, offsets: keys(file, text, base) }
}

const DEEPEST = 128 // of real files' lists and objects in each other, with room; what walks them later recurses

/** Where brackets outside strings are nested too deeply; −1 where they are not. */
function tooDeep(bytes: Uint8Array): number {
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === 0x22) {
      for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > DEEPEST) return i
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return -1
}

/** Any JSON value of a text. Errors: `ERR_FORMAT`. */
export function jsonOf(file: string, text: string, field = 'JSON', base = 0): unknown {
  try {
    return parse(text)
  } catch (cause) {
    throw formatError(file, field, base, (cause as Error).message, {}, cause)
  }
}

/** Python writes NaN and Infinity as bare words, which JSON lacks: they become null and infinite numbers. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (!/\b(NaN|Infinity)\b/.test(text)) throw error
    return JSON.parse(
      text.replace(/("[^"\\]*(?:\\.[^"\\]*)*")|\bNaN\b|\bInfinity\b/g, (word, string) => string ?? (word === 'NaN' ? 'null' : '1e999')),
    )
  }
}

export const isObject = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x)

/** Walks text already known to be valid JSON: offsets of the outermost keys, and an error on the first duplicate key. */
function keys(file: string, text: string, base: number): Map<string, number> {
  const outermost = new Map<string, number>()
  const open: (Set<string> | undefined)[] = [] // a set per object, undefined per array
  let bytes = base
  let counted = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '{') open.push(new Set())
    else if (c === '[') open.push(undefined)
    else if (c === '}' || c === ']') open.pop()
    else if (c === '"') {
      const start = i
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++
      if (!isKey(text, i + 1)) continue
      const key = JSON.parse(text.slice(start, i + 1)) as string
      const names = open[open.length - 1]!
      if (names.has(key) || open.length === 1) {
        bytes += utf8Length(text, counted, start)
        counted = start
      }
      if (names.has(key)) throw formatError(file, key, bytes, 'duplicate name')
      names.add(key)
      if (open.length === 1) outermost.set(key, bytes)
    }
  }
  return outermost
}

/** In valid JSON only a key has a colon after it. */
function isKey(text: string, at: number): boolean {
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return text[at] === ':'
}

function utf8Length(text: string, from: number, to: number): number {
  let n = 0
  for (let i = from; i < to; i++) {
    const c = text.charCodeAt(i)
    n += c < 0x80 ? 1 : c < 0x800 || (c >= 0xd800 && c < 0xe000) ? 2 : 3 // a surrogate pair is 4 bytes, 2 per half
  }
  return n
}
