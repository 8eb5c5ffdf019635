import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { floats } from '../../checkpoint.ts'
import { memorySource } from '../../source.ts'
import { ggufCheckpoint } from '../checkpoint.ts'
import { GGUF_ARCHITECTURES } from './index.ts'

const fixture = (file: string) => readFileSync(new URL(`../../../test/fixtures/gguf/${file}`, import.meta.url))
const open = (name: string) => ggufCheckpoint(memorySource(`${name}.gguf`, new Uint8Array(fixture(`${name}.gguf`))))
const oracle = (name: string) => JSON.parse(fixture(`${name}.json`).toString())

/** The weights of internal/oracles/gguf-architectures.py. */
function values(name: string, size: number): Float32Array {
  let hash = 2166136261
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 16777619)
  return Float32Array.from({ length: size }, (_, i) => {
    let h = (Math.imul(i, 2654435761) + hash) >>> 0
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0
    return (((h ^ (h >>> 13)) & 255) - 128) / 512
  })
}

describe.each(GGUF_ARCHITECTURES.map(a => a.name))('%s', name => {
  it('gives every tensor its Hugging Face name, shape and values', async () => {
    const { tensors } = await open(name)
    const { shapes, config } = oracle(name)
    const expected = Object.keys(shapes).filter(n => !(n === 'lm_head.weight' && config.tie_word_embeddings))
    expect([...tensors.keys()].sort()).toEqual(expected.sort())
    for (const [key, entry] of tensors) {
      expect([key, ...entry.shape]).toEqual([key, ...shapes[key]])
      const want = values(
        key,
        entry.shape.reduce((a, b) => a * b),
      )
      const got = await floats(entry)
      for (let i = 0; i < want.length; i++) if (got[i] !== want[i]) throw new Error(`${key}[${i}] is ${got[i]}, not ${want[i]}`)
      const [rows] = entry.shape
      const pieces: Uint8Array[] = []
      for await (const piece of entry.pieces()) pieces.push(piece.slice())
      expect(Buffer.concat(pieces)).toEqual(Buffer.from(await entry.read()))
      expect(Buffer.from(await entry.readRows(1, 2))).toEqual(
        Buffer.from((await entry.read()).slice(entry.bytes / rows, (2 * entry.bytes) / rows)),
      )
    }
  })

  it('gives the config that transformers has', async () => {
    const { config } = await open(name)
    const { config: theirs } = oracle(name)
    const shared = Object.keys(config).filter(
      k =>
        k in theirs &&
        !['bos_token_id', 'eos_token_id', 'pad_token_id', 'architectures', 'head_dim', 'n_inner', 'rope_scaling'].includes(k),
    )
    expect(shared.length).toBeGreaterThan(8)
    expect(Object.fromEntries(shared.map(k => [k, config[k]]))).toEqual(Object.fromEntries(shared.map(k => [k, theirs[k]])))
  })
})
