import { q4_1, q8_0 } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { type MadeTensor, type MadeValue, makeGguf } from '../../test/make.ts'
import { floats } from '../checkpoint.ts'
import { memorySource } from '../source.ts'
import { ggufCheckpoint } from './checkpoint.ts'
import { readGguf } from './read.ts'

const [HIDDEN, HEADS, KV, HEAD, FFN, VOCAB] = [64, 4, 2, 16, 96, 6]
const u32 = (x: number): MadeValue => [4, x]
const metadata: [string, MadeValue][] = [
  ['general.architecture', [8, 'llama']],
  ['llama.block_count', u32(1)],
  ['llama.context_length', u32(128)],
  ['llama.embedding_length', u32(HIDDEN)],
  ['llama.feed_forward_length', u32(FFN)],
  ['llama.attention.head_count', u32(HEADS)],
  ['llama.attention.head_count_kv', u32(KV)],
  ['llama.attention.layer_norm_rms_epsilon', [6, 1e-5]],
  ['llama.rope.freq_base', [6, 100000]],
  ['llama.rope.dimension_count', u32(HEAD)],
]
const withKey = (key: string, value: MadeValue): [string, MadeValue][] => [...metadata.filter(([k]) => k !== key), [key, value]]

const values = (rows: number, width: number, seed: number) =>
  Float32Array.from({ length: rows * width }, (_, i) => Math.sin(seed + i * 0.37) * (1 + (i % 7)))
const plain = (name: string, ...shape: number[]): MadeTensor => {
  const data = new Uint8Array(values(shape[0], shape[1] ?? 1, name.length).buffer)
  return { name, dims: [...shape].reverse(), type: 0, data }
}
const packed = (name: string, codec: typeof q4_1, type: number, rows: number, width: number): MadeTensor => {
  const data = new Uint8Array(((rows * width) / codec.block) * codec.bytes)
  codec.encode!(values(rows, width, name.length), data)
  return { name, dims: [width, rows], type, data }
}
const tensors = [
  packed('token_embd.weight', q8_0, 8, VOCAB, HIDDEN),
  plain('blk.0.attn_norm.weight', HIDDEN),
  packed('blk.0.attn_q.weight', q4_1, 3, HEADS * HEAD, HIDDEN),
  packed('blk.0.attn_k.weight', q4_1, 3, KV * HEAD, HIDDEN),
  packed('blk.0.attn_v.weight', q4_1, 3, KV * HEAD, HIDDEN),
  plain('blk.0.attn_output.weight', HIDDEN, HEADS * HEAD),
  plain('blk.0.ffn_norm.weight', HIDDEN),
  plain('blk.0.ffn_gate.weight', FFN, HIDDEN),
  plain('blk.0.ffn_up.weight', FFN, HIDDEN),
  plain('blk.0.ffn_down.weight', HIDDEN, FFN),
  plain('output_norm.weight', HIDDEN),
]
const open = (bytes: Uint8Array) => ggufCheckpoint(memorySource('x.gguf', bytes))

describe('ggufCheckpoint', () => {
  it('gives Hugging Face names, shapes and config; packed tensors stay packed', async () => {
    const { tensors: got, config } = await open(makeGguf(metadata, tensors))
    expect(config).toMatchObject({
      model_type: 'llama',
      hidden_size: HIDDEN,
      num_attention_heads: HEADS,
      num_key_value_heads: KV,
      head_dim: HEAD,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      rope_scaling: null,
      tie_word_embeddings: true,
      attention_bias: false,
      vocab_size: VOCAB,
    })
    expect([...got.keys()].sort()).toEqual([
      'model.embed_tokens.weight',
      'model.layers.0.input_layernorm.weight',
      'model.layers.0.mlp.down_proj.weight',
      'model.layers.0.mlp.gate_proj.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.0.post_attention_layernorm.weight',
      'model.layers.0.self_attn.k_proj.weight',
      'model.layers.0.self_attn.o_proj.weight',
      'model.layers.0.self_attn.q_proj.weight',
      'model.layers.0.self_attn.v_proj.weight',
      'model.norm.weight',
    ])
    expect(got.get('model.embed_tokens.weight')).toMatchObject({ dtype: q8_0, shape: [VOCAB, HIDDEN] })
  })

  it('puts interleaved rope rows back into halves, whole or a few rows at a time', async () => {
    const { tensors: got } = await open(makeGguf(metadata, tensors))
    for (const [name, heads] of [
      ['k', KV],
      ['q', HEADS],
    ] as const) {
      const tensor = got.get(`model.layers.0.self_attn.${name}_proj.weight`)!
      const held = new Float32Array(heads * HEAD * HIDDEN)
      q4_1.decode(tensors.find(t => t.name === `blk.0.attn_${name}.weight`)!.data, held)
      const all = await floats(tensor)
      const row = (of: Float32Array, i: number) => [...of.subarray(i * HIDDEN, (i + 1) * HIDDEN)]
      for (let h = 0; h < heads; h++)
        for (let i = 0; i < HEAD / 2; i++) {
          expect(row(all, h * HEAD + i)).toEqual(row(held, h * HEAD + 2 * i))
          expect(row(all, h * HEAD + HEAD / 2 + i)).toEqual(row(held, h * HEAD + 2 * i + 1))
        }
      const bytes = await tensor.read()
      const rowBytes = bytes.length / (heads * HEAD)
      expect(await tensor.readRows(5, 23)).toEqual(bytes.slice(5 * rowBytes, 23 * rowBytes))
      const pieces: number[] = []
      for await (const piece of tensor.pieces()) pieces.push(...piece)
      expect(pieces).toEqual([...bytes])
    }
  })

  it('is untied when there is an output tensor', async () => {
    const untied = await open(makeGguf(metadata, [...tensors, plain('output.weight', VOCAB, HIDDEN)]))
    expect(untied.config.tie_word_embeddings).toBe(false)
    expect(untied.tensors.has('lm_head.weight')).toBe(true)
  })

  it('ends answers at every token that the file names for it', async () => {
    const ends = async (...more: [string, MadeValue][]) =>
      (await open(makeGguf([...metadata, ...more], tensors))).generationConfig?.eos_token_id
    const eos: [string, MadeValue] = ['tokenizer.ggml.eos_token_id', u32(1)]
    expect(await ends(eos)).toBe(1)
    expect(await ends(eos, ['tokenizer.ggml.eot_token_id', u32(1)])).toBe(1)
    expect(await ends(eos, ['tokenizer.ggml.eot_token_id', u32(5)])).toEqual([1, 5])
  })

  it('takes notes and zeros for what they are', async () => {
    const notes: [string, MadeValue][] = [
      ['llama.rope.scaling.finetuned', [7, true]],
      ['llama.tensor_data_layout', [8, 'Meta AI original pth']],
      ['llama.expert_count', u32(0)],
      ['llama.expert_used_count', u32(0)],
    ]
    expect((await open(makeGguf([...metadata, ...notes], tensors))).config).toEqual((await open(makeGguf(metadata, tensors))).config)
  })

  it.each([0, 7])('refuses %i heads for 64 values as no size', async heads => {
    await expect(
      open(
        makeGguf(
          withKey('llama.attention.head_count', u32(heads)).filter(([k]) => k !== 'llama.rope.dimension_count'),
          tensors,
        ),
      ),
    ).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  it.each([
    ['an architecture', withKey('general.architecture', [8, 'mamba']), tensors, /general.architecture mamba/],
    ['a metadata key', withKey('llama.attention.logit_softcap', [6, 30]), tensors, /llama.attention.logit_softcap/],
    ['a part of a file', withKey('split.count', u32(3)), tensors, /one of 3 parts/],
    ['experts', withKey('llama.expert_count', u32(8)), tensors, /llama.expert_count/],
    [
      'a rope scaling',
      withKey('llama.rope.scaling.type', [8, 'longrope']).concat([['llama.rope.scaling.factor', [6, 2]]]),
      tensors,
      /longrope/,
    ],
    ['heads that differ between layers', withKey('llama.attention.head_count', [9, 4, [4, 2]]), tensors, /differs between layers/],
    ['rope divisors', metadata, [...tensors, plain('rope_freqs.weight', HEAD / 2)], /tensor rope_freqs.weight/],
    ['a tensor', metadata, [...tensors, plain('blk.0.surprise.weight', 4)], /blk.0.surprise.weight/],
    [
      'a tensor type',
      metadata,
      [...tensors, { name: 'blk.1.attn_v.weight', dims: [256], type: 18, data: new Uint8Array(98) }],
      /blk.1.attn_v.weight has type IQ3_XXS/,
    ],
  ])('refuses %s it does not know, by name', async (_, meta, list, why) => {
    const error = await open(makeGguf(meta, list)).catch(e => e)
    expect(error.code).toBe('ERR_UNSUPPORTED')
    expect(error.message).toMatch(why)
  })
})

describe('readGguf', () => {
  const good = makeGguf(metadata, tensors)
  const read = (bytes: Uint8Array) => readGguf(memorySource('x.gguf', bytes))
  const tensor = (over: Partial<MadeTensor>): MadeTensor => ({ name: 'w', dims: [32], type: 0, data: new Uint8Array(128), ...over })
  const patched = (at: number, ...bytes: number[]) => {
    const copy = good.slice()
    copy.set(bytes, at)
    return copy
  }

  it('reads versions 2 and 3 and any alignment', async () => {
    for (const version of [2, 3]) expect((await read(makeGguf(metadata, tensors, { version }))).tensors.size).toBe(tensors.length)
    const aligned = makeGguf(
      [['general.alignment', u32(128)]],
      [tensor({ name: 'a', dims: [3], data: new Uint8Array(12) }), tensor({ name: 'b' })],
      { alignment: 128 },
    )
    expect([...(await read(aligned)).tensors.values()].map(t => t.byteOffset % 128)).toEqual([0, 0])
  })

  const hostile: [string, Uint8Array, RegExp][] = [
    ['another magic', patched(0, 0x50, 0x4b), /not a GGUF file/],
    ['an unknown version', patched(4, 9), /version 9/],
    ['a lying tensor count', patched(8, 255, 255, 255, 255, 255, 255, 255, 255), /entries claimed/],
    ['a lying metadata count', patched(16, 255, 255, 255, 255), /entries claimed/],
    ['a lying string', patched(24, 255, 255, 255, 255, 255), /entries claimed/],
    ['an unknown value type', makeGguf([['k', [4, 0]]], []).map((b, i) => (i === 33 ? 77 : b)), /value type 77/],
    ['a boolean of 2', makeGguf([['k', [7, 2]]], []), /not a boolean/],
    ['a key that is not UTF-8', makeGguf([['k', [4, 0]]], []).map((b, i) => (i === 32 ? 0xff : b)), /UTF-8/],
    [
      'a duplicate key',
      makeGguf(
        [
          ['k', [4, 0]],
          ['k', [4, 0]],
        ],
        [],
      ),
      /duplicate key/,
    ],
    ['an odd alignment', makeGguf([['general.alignment', u32(24)]], []), /power of two/],
    ['a duplicate tensor', makeGguf([], [tensor({}), tensor({})]), /duplicate tensor/],
    ['too many dimensions', makeGguf([], [tensor({ dims: [1, 1, 1, 1, 32] })]), /5 dimensions/],
    ['an enormous shape', makeGguf([], [tensor({ dims: [2n ** 63n, 2n] })]), /more than a file/],
    ['an unknown tensor type', makeGguf([], [tensor({ type: 99 })]), /type number 99/],
    ['rows of broken blocks', makeGguf([], [tensor({ dims: [33], type: 2 })]), /whole blocks of Q4_0/],
    ['an unaligned offset', makeGguf([], [tensor({ offset: 4 })]), /multiple of the alignment/],
    ['an overlap', makeGguf([], [tensor({ name: 'a' }), tensor({ name: 'b', offset: 64 })]), /inside the tensor before/],
    ['a gap', makeGguf([], [tensor({ name: 'a' }), tensor({ name: 'b', offset: 256 })]), /with a gap/],
    ['missing data', good.subarray(0, good.length - 64), /truncated/],
  ]
  it.each(hostile)('refuses %s by file, field and offset', async (_, bytes, why) => {
    const error = await read(bytes).catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_FORMAT', data: { file: 'x.gguf' } })
    expect(error.data.field).toBeTypeOf('string')
    expect(error.data.offset).toBeTypeOf('number')
    expect(error.message).toMatch(why)
  })

  it('refuses every truncation', async () => {
    for (let n = 0; n < good.length - 32; n += 509) await expect(read(good.slice(0, n))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  it('recognises what it does not read', async () => {
    await expect(read(patched(4, 1))).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    await expect(read(patched(4, 0, 0, 0, 3))).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
  })
})
