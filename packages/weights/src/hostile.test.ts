import { AttuneError } from '@attune/tensor'
import { expect, it } from 'vitest'
import { makeGguf, makeSafetensors } from '../test/make.ts'
import { ggufCheckpoint } from './gguf/checkpoint.ts'
import { readGguf } from './gguf/read.ts'
import { readSafetensors } from './safetensors/read.ts'
import { type ByteSource, memorySource } from './source.ts'

/** Damaged files from a seed: `ATTUNE_FUZZ=20000` makes more of them. */
const ROUNDS = Number(process.env.ATTUNE_FUZZ ?? 600)

const safetensors = makeSafetensors(
  {
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [4, 3], data_offsets: [0, 48] },
    b: { dtype: 'BF16', shape: [8], data_offsets: [48, 64] },
    c: { dtype: 'I64', shape: [], data_offsets: [64, 72] },
  },
  72,
)
const gguf = makeGguf(
  [
    ['general.architecture', [8, 'llama']],
    ['llama.block_count', [4, 1]],
    ['llama.context_length', [4, 64]],
    ['llama.embedding_length', [4, 32]],
    ['llama.feed_forward_length', [4, 32]],
    ['llama.attention.head_count', [4, 2]],
    ['llama.attention.layer_norm_rms_epsilon', [6, 1e-5]],
    ['tokenizer.ggml.model', [8, 'gpt2']],
    ['tokenizer.ggml.tokens', [9, 8, ['a', 'b', 'ab']]],
    ['tokenizer.ggml.token_type', [9, 5, [1, 1, 1]]],
    ['tokenizer.ggml.merges', [9, 8, ['a b']]],
  ],
  [
    { name: 'token_embd.weight', dims: [32, 3], type: 8, data: new Uint8Array(34 * 3) },
    { name: 'blk.0.attn_q.weight', dims: [32, 32], type: 3, data: new Uint8Array(20 * 32) },
    { name: 'output_norm.weight', dims: [32], type: 0, data: new Uint8Array(128) },
  ],
)

function randomOf(seed: number): (n: number) => number {
  let state = seed * 2654435761 + 1
  return n => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) % n
  }
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff]
function damaged(good: Uint8Array, headerEnd: number, seed: number): Uint8Array {
  const random = randomOf(seed)
  const bytes = good.slice(0, random(4) === 0 ? random(good.length) : good.length)
  if (bytes.length === 0) return bytes
  const end = Math.min(bytes.length, headerEnd)
  for (let i = random(4) + (bytes.length === good.length ? 1 : 0); i > 0; i--) {
    const at = random(end)
    const kind = random(5)
    if (kind === 0) bytes[at] = random(256)
    else if (kind === 1) bytes[at] ^= 1 << random(8)
    else if (kind === 2) bytes.fill(INTERESTING[random(5)], at, at + 1 + random(8))
    else if (kind === 3) bytes.copyWithin(at, random(end), random(end))
    else bytes[at] = '0123456789-.eE,[]{}":'.charCodeAt(random(21))
  }
  return bytes
}

/** Counts what is asked for, so that a lying length shows. */
function counting(name: string, bytes: Uint8Array): ByteSource & { asked: number } {
  const inner = memorySource(name, bytes)
  const counted = {
    ...inner,
    asked: 0,
    read: (offset: number, length: number, signal?: AbortSignal) => {
      counted.asked += length
      return inner.read(offset, length, signal)
    },
  }
  return counted
}

async function survives(
  name: string,
  good: Uint8Array,
  headerEnd: number,
  codes: string[],
  open: (source: ByteSource) => Promise<unknown>,
): Promise<void> {
  for (let seed = 0; seed < ROUNDS; seed++) {
    const source = counting(name, damaged(good, headerEnd, seed))
    const error = await open(source).then(
      () => undefined,
      e => e,
    )
    if (source.asked > 2 * good.length) throw new Error(`seed ${seed}: ${source.asked} bytes asked of a file of ${source.size}`)
    if (error === undefined) continue
    if (!(error instanceof AttuneError) || !codes.includes(error.code)) throw new Error(`seed ${seed}: ${error.stack}`)
    if (error.code === 'ERR_FORMAT')
      expect([seed, typeof error.data.file, typeof error.data.field, typeof error.data.offset]).toEqual([
        seed,
        'string',
        'string',
        'number',
      ])
  }
}

it('damaged safetensors give an error that says where, or still make sense', () =>
  survives('x.safetensors', safetensors, safetensors.length - 72, ['ERR_FORMAT', 'ERR_UNSUPPORTED'], source => readSafetensors(source)))

it('damaged GGUF headers give an error that says where, or still make sense', () =>
  survives('x.gguf', gguf, 900, ['ERR_FORMAT', 'ERR_UNSUPPORTED'], source => readGguf(source)))

it('damaged GGUF checkpoints are refused or open', () =>
  survives('x.gguf', gguf, 900, ['ERR_FORMAT', 'ERR_UNSUPPORTED'], source => ggufCheckpoint(source)))
