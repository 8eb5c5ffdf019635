import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { q4_0, q4_1, q8_0 } from './codecs.ts'
import { bf16ToFloat, floatToBf16, floatToHalf, halfToFloat } from './half.ts'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../test/fixtures/${name}`, import.meta.url), 'utf8'))
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const dequant = fixture('gguf_dequant.json')
const quant = fixture('gguf_quant.json')

describe.each([q4_0, q4_1, q8_0])('$name', codec => {
  const oracle = dequant.synthetic.find((s: { type: string }) => s.type.toLowerCase() === codec.name)

  it('decodes as ggml does, bit for bit', () => {
    const out = new Float32Array(oracle.n_blocks * codec.block)
    codec.decode(bytes(oracle.raw_base64), out)
    expect([...out]).toEqual(oracle.values.map(Math.fround))
  })

  it('encodes as ggml does, byte for byte', () => {
    const values = new Float32Array(bytes(quant.values_base64).buffer)
    const out = new Uint8Array((values.length / codec.block) * codec.bytes)
    codec.encode!(values, out)
    expect([...out]).toEqual([...bytes(quant[codec.name.toUpperCase()])])
  })
})

describe('half', () => {
  it('every f16 and bf16 word survives a round trip through f32', () => {
    for (let h = 0; h < 65536; h++) {
      const [half, bf16] = [halfToFloat(h), bf16ToFloat(h)]
      if (!Number.isNaN(half)) expect(floatToHalf(half)).toBe(h)
      else expect(halfToFloat(floatToHalf(half))).toBeNaN()
      if (!Number.isNaN(bf16)) expect(floatToBf16(bf16)).toBe(h)
      else expect(bf16ToFloat(floatToBf16(bf16))).toBeNaN()
    }
  })

  it('rounds to the nearest f16, ties to the even word', () => {
    for (let h = 0; h < 0x7bff; h++) {
      const [low, high] = [halfToFloat(h), halfToFloat(h + 1)]
      const middle = (low + high) / 2
      if (floatToHalf(middle) !== (h & 1 ? h + 1 : h)) throw new Error(`tie above word ${h}`)
      if (floatToHalf(Math.fround(middle * (1 - 2 ** -23))) !== h) throw new Error(`just below the tie above word ${h}`)
      if (floatToHalf(Math.fround(middle * (1 + 2 ** -23))) !== h + 1) throw new Error(`just above the tie above word ${h}`)
    }
    expect(floatToHalf(65519.996)).toBe(0x7bff)
    expect(floatToHalf(65520)).toBe(0x7c00)
  })

  it('rounds to the nearest bf16, ties to the even word', () => {
    expect(floatToBf16(1 + 2 ** -8)).toBe(0x3f80)
    expect(floatToBf16(1 + 3 * 2 ** -8)).toBe(0x3f82)
    expect(floatToBf16(1 + 2 ** -8 + 2 ** -20)).toBe(0x3f81)
    expect(floatToBf16(3.4e38)).toBe(0x7f80)
  })
})
