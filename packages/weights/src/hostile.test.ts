import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { AttuneError } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { DAMAGED_GGUF, goodGguf } from '../test/damaged-gguf.ts'
import { DAMAGED_SAFETENSORS, goodSafetensors } from '../test/damaged-safetensors.ts'
import { makeGguf, makeSafetensors } from '../test/make.ts'
import { noise, type Random, randomOf } from '../test/random.ts'
import { folderOf } from './folder.ts'
import { ggufCheckpoint } from './gguf/checkpoint.ts'
import { openCheckpoint } from './open.ts'
import { type ByteSource, memorySource } from './source.ts'

/** Files of each kind of damage; `ATTUNE_FUZZ=5000` makes more of them. */
const ROUNDS = Number(process.env.ATTUNE_FUZZ ?? 240)
const SLOWEST = 5000 // ms on a busy machine; files are small and take about one

const openGguf = (source: ByteSource) => ggufCheckpoint(source)
const config = () => memorySource('config.json', new TextEncoder().encode('{}'))
const openSafetensors = (source: ByteSource) => openCheckpoint(folderOf('m', [config(), source]))

/** Records what is asked for: nothing outside the file, and not much more than the file has. */
function watched(name: string, bytes: Uint8Array): ByteSource & { asked: number } {
  const inner = memorySource(name, bytes)
  const check = (offset: number, length: number) => {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > bytes.length)
      throw new Error(`bytes ${offset} to ${offset + length} of ${bytes.length} were asked for`)
    source.asked += length
  }
  const source = {
    ...inner,
    asked: 0,
    read: (offset: number, length: number, signal?: AbortSignal) => {
      check(offset, length)
      return inner.read(offset, length, signal)
    },
    readInto: (offset: number, target: Uint8Array, signal?: AbortSignal) => {
      check(offset, target.length)
      return inner.readInto(offset, target, signal)
    },
  }
  return source
}

/** The error a file gives, or undefined; throws where it took too long, asked for too much, or does not say where. */
async function outcome(label: string, source: ReturnType<typeof watched>, open: (source: ByteSource) => Promise<unknown>) {
  const begin = performance.now()
  const error = await open(source).then(
    () => undefined,
    e => e,
  )
  const took = performance.now() - begin
  if (took > SLOWEST) throw new Error(`${label}: ${took} ms`)
  if (source.asked > 4 * source.size + 64) throw new Error(`${label}: ${source.asked} bytes asked of a file of ${source.size}`)
  if (error === undefined) return undefined
  if (!(error instanceof AttuneError)) throw new Error(`${label}: ${error.stack}`)
  const { file, field, offset } = error.data as Record<string, unknown>
  const said =
    file === source.name &&
    typeof field === 'string' &&
    Number.isSafeInteger(offset) &&
    (offset as number) >= 0 &&
    (offset as number) <= Math.max(source.size, 24)
  if (error.code === 'ERR_FORMAT' && !said) throw new Error(`${label}: does not say where: ${error.message} ${JSON.stringify(error.data)}`)
  return error
}

describe.each([
  ['model.safetensors', DAMAGED_SAFETENSORS, openSafetensors],
  ['x.gguf', DAMAGED_GGUF, openGguf],
] as const)('%s', (name, kinds, open) => {
  it.each(Object.entries(kinds))('with damage (%s) is refused by file, field and offset', async (kind, make) => {
    let files = 0
    for (let seed = 0; seed < ROUNDS; seed++, files++) {
      const label = `${kind} ${seed}`
      const error = await outcome(label, watched(name, make(randomOf(seed))), open)
      if (error?.code !== 'ERR_FORMAT') throw new Error(`${label}: ${error ? `${error.code} ${error.message}` : 'opened'}`)
    }
    expect(files).toBe(ROUNDS)
  })

  it('is whole before it is damaged', async () => {
    for (let seed = 0; seed < 50; seed++) expect(await outcome(`${seed}`, watched(name, GOOD[name](randomOf(seed))), open)).toBeUndefined()
  })

  it('with noise in it is refused, or still makes sense', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 6 * ROUNDS; seed++) {
      const random = randomOf(seed)
      const good = GOOD[name](random)
      const error = await outcome(`noise ${seed}`, watched(name, noise(good, good.length, random)), open)
      seen.add(error?.code ?? 'opened')
    }
    expect(seen).toContain('ERR_FORMAT')
    expect(seen).toContain('opened')
    expect(['ERR_FORMAT', 'ERR_UNSUPPORTED', 'opened']).toEqual(expect.arrayContaining([...seen]))
  })
})

const GOOD: Readonly<Record<string, (random: Random) => Uint8Array>> = {
  'model.safetensors': random => {
    const { header, data } = goodSafetensors(random)
    return makeSafetensors(header, data)
  },
  'x.gguf': random => makeGguf(...goodGguf(random)),
}

it('more than 10,000 files are damaged', () => {
  const kinds = Object.keys(DAMAGED_SAFETENSORS).length + Object.keys(DAMAGED_GGUF).length
  expect(ROUNDS * (kinds + 12)).toBeGreaterThan(10_000)
})

describe('memory', () => {
  const collect = collector()
  const MOST = 64 << 20
  const many = (bytes: number, piece: string) => piece.repeat(Math.floor(bytes / piece.length))
  const u64 = (n: number) => [...new Uint8Array(BigUint64Array.of(BigInt(n)).buffer)]
  const ggufOf = (bytes: number, head: number[], piece: Uint8Array, tensors = 0, values = 1): Uint8Array => {
    const out = new Uint8Array(bytes).fill(1)
    out.set([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, ...u64(tensors), ...u64(values), ...head])
    if (piece.length === 1) return out.fill(piece[0], 24 + head.length)
    for (let at = 24 + head.length; at + piece.length <= bytes; at += piece.length) out.set(piece, at)
    return out
  }
  const tensorsOf = (bytes: number): Uint8Array => {
    const count = Math.floor((bytes - 24) / 32)
    const out = ggufOf(bytes, [], Uint8Array.of(...u64(8), ...new Array(8).fill(0x61), 0, 0, 0, 0, 24, 0, 0, 0, ...u64(0)), count, 0)
    for (let i = 0; i < count; i++) for (let d = 0, n = i; d < 8; d++, n = Math.floor(n / 10)) out[24 + 32 * i + 8 + d] = 0x30 + (n % 10)
    return out
  }
  const array = (type: number, count: number) => [1, 0, 0, 0, 0, 0, 0, 0, 0x6b, 9, 0, 0, 0, type, 0, 0, 0, ...u64(count)]
  const SIZE = 40 << 20
  const claim = BigInt(SIZE)
  const entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'

  it.each<[string, string, () => Uint8Array]>([
    ['brackets', 'model.safetensors', () => makeSafetensors(0, 0, { raw: `{"a":${many(SIZE, '[')}`, claim: claim + 5n })],
    ['one string', 'model.safetensors', () => makeSafetensors(0, 0, { raw: `{"${many(SIZE, 'a')}`, claim: claim + 2n })],
    ['one number', 'model.safetensors', () => makeSafetensors(0, 0, { raw: `{"a":${many(SIZE, '1')}`, claim: claim + 5n })],
    [
      'empty tensors',
      'model.safetensors',
      () => makeSafetensors(0, 0, { raw: `{${Array.from({ length: 500_000 }, (_, i) => `"${i}":${entry}`)}}` }),
    ],
    [
      'notes',
      'model.safetensors',
      () => makeSafetensors(0, 1, { raw: `{"__metadata__":{${Array.from({ length: 500_000 }, (_, i) => `"${i}":""`)}}}` }),
    ],
    ['short strings', 'x.gguf', () => ggufOf(SIZE, array(8, 4_000_000), Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x78, 0x79))],
    ['no strings', 'x.gguf', () => ggufOf(SIZE, array(8, 5_000_000), new Uint8Array(8))],
    ['truths', 'x.gguf', () => ggufOf(SIZE, array(7, SIZE - 64), Uint8Array.of(1))],
    ['bytes', 'x.gguf', () => ggufOf(2 * SIZE, array(0, 2 * SIZE - 64), Uint8Array.of(1))],
    ['long numbers', 'x.gguf', () => ggufOf(SIZE, array(10, SIZE / 8 - 8), new Uint8Array(8).fill(255))],
    ['one string', 'x.gguf', () => ggufOf(SIZE, [...u64(1), 0x6b, 8, 0, 0, 0, ...u64(SIZE - 64)], Uint8Array.of(0x61))],
    ['tensors', 'x.gguf', () => tensorsOf(SIZE)],
  ])('is not taken by %s in %s', async (_, name, make) => {
    const file = make()
    const inner = memorySource(name, file)
    let most = 0
    let reads = 0
    collect()
    const before = inUse()
    const look = () => {
      if (reads++ % 16 === 0) collect()
      most = Math.max(most, inUse() - before)
    }
    const source: ByteSource = {
      ...inner,
      async read(offset, length) {
        const bytes = await inner.read(offset, length)
        look()
        return bytes
      },
      async readInto(offset, target) {
        await inner.readInto(offset, target)
        look()
      },
    }
    const error = await (name === 'x.gguf' ? openGguf : openSafetensors)(source).catch(e => e)
    look()
    expect(error).toMatchObject({ code: 'ERR_FORMAT', data: { file: name } })
    expect(most).toBeLessThan(MOST)
  })
})

const inUse = (): number => {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + Math.max(external, arrayBuffers)
}

/** Node's garbage collector as a function, so that only what is held is counted. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
