import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Checkpoint, floats } from '../checkpoint.ts'
import { memoryOutput } from '../output.ts'
import { memorySource } from '../source.ts'
import { fromEntry, fromValue, type TensorSource } from '../tensor-source.ts'
import { GGUF_ARCHITECTURES } from './architectures/index.ts'
import { ggufCheckpoint } from './checkpoint.ts'
import { readGguf } from './read.ts'
import { type GgufType, saveGguf } from './save.ts'
import { PRE_TOKENIZERS } from './tokenizer-bpe.ts'

const fixture = (file: string) => new URL(`../../test/fixtures/${file}`, import.meta.url)
const open = (name: string) => ggufCheckpoint(memorySource(`${name}.gguf`, new Uint8Array(readFileSync(fixture(`gguf/${name}.gguf`)))))
async function written(files: Checkpoint, tensors: Iterable<TensorSource>, type?: GgufType): Promise<Uint8Array> {
  const out = memoryOutput()
  let told: object | undefined
  const check = (config: object) => {
    told = config
  }
  await saveGguf(out, files, tensors, { type, fileName: 'x.gguf', check })
  expect(told).toEqual((await ggufCheckpoint(memorySource('x.gguf', out.files.get('x.gguf')!))).config)
  return out.files.get('x.gguf')!
}
const copies = (checkpoint: Checkpoint) => [...checkpoint.tensors.values()].map(entry => fromEntry(entry))
const again = async (checkpoint: Checkpoint, type?: GgufType) =>
  ggufCheckpoint(memorySource('x.gguf', await written(checkpoint, copies(checkpoint), type)))

describe.each(GGUF_ARCHITECTURES.map(a => a.name))('a %s', name => {
  it('written and read is what it was', async () => {
    const before = await open(name)
    const after = await again(before)
    expect(after.config).toEqual(before.config)
    expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort())
    for (const [key, entry] of before.tensors) {
      expect([key, ...after.tensors.get(key)!.shape]).toEqual([key, ...entry.shape])
      expect([key, Buffer.compare(bytes(await floats(after.tensors.get(key)!)), bytes(await floats(entry)))]).toEqual([key, 0])
    }
  })

  it.each(['q8_0', 'q4_0'] as const)('written in %s is within the rounding of its blocks', async type => {
    const before = await open(name)
    const { tensors } = await again(before, type)
    const steps = { q8_0: 127, q4_0: 8 }
    for (const [key, entry] of before.tensors) {
      const [was, is] = [await floats(entry), await floats(tensors.get(key)!)]
      const largest = was.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
      const plain = entry.shape.length < 2
      for (let i = 0; i < was.length; i++) expect(Math.abs(is[i] - was[i])).toBeLessThanOrEqual(plain ? 0 : (1.01 * largest) / steps[type])
    }
  })
})

describe('saveGguf', () => {
  it('aligns tensors and names the types of a q4_0 file', async () => {
    const source = await open('qwen3')
    const { tensors, metadata } = await readGguf(memorySource('x', await written(source, copies(source), 'q4_0')))
    expect(metadata.get('general.file_type')).toBe(2)
    const types = Object.fromEntries([...tensors.values()].map(t => [t.name, t.type.name]))
    expect(types).toMatchObject({
      'token_embd.weight': 'Q8_0',
      'output.weight': 'Q8_0',
      'blk.0.attn_q.weight': 'Q4_0',
      'output_norm.weight': 'F32',
    })
    expect([...tensors.values()].every(t => t.byteOffset % 32 === 0)).toBe(true)
  })

  it('writes rows that are no whole blocks as f16', async () => {
    const source = await open('llama')
    const odd = [...copies(source)].map(t =>
      t.name.endsWith('gate_proj.weight')
        ? fromValue(t.name, 'f32', [64, 20], () => ({ dtype: 'f32', shape: [64, 20], bytes: new Uint8Array(64 * 80) }))
        : t,
    )
    const { tensors } = await readGguf(memorySource('x', await written(source, odd, 'q8_0')))
    expect(tensors.get('blk.0.ffn_gate.weight')!.type.name).toBe('F16')
  })

  const token = (id: number, content: string, special = true) => ({
    id,
    content,
    special,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })
  it.each(['smollm', 'llama-bpe', 'qwen2', 'gpt-2'])('writes a byte-level tokenizer cut as %s', async pre => {
    const source = await open('llama')
    const tokenizerJson = {
      version: '1.0',
      added_tokens: [token(0, '<|end|>'), token(6, '<user>', false)],
      normalizer: null,
      pre_tokenizer: PRE_TOKENIZERS[pre],
      post_processor: null,
      model: { type: 'BPE', vocab: { '<|end|>': 0, a: 1, b: 2, Ġ: 3, ab: 4, Ġab: 5 }, merges: ['a b', 'Ġ ab'] },
    }
    const files = {
      ...source,
      tokenizerJson,
      tokenizerConfig: { eos_token: '<|end|>', bos_token: { content: '<|end|>' } },
      chatTemplate: '{{ x }}',
    }
    const back = await ggufCheckpoint(memorySource('x.gguf', await written(files, copies(source))))
    const json = back.tokenizerJson as any
    expect(json.pre_tokenizer).toEqual(PRE_TOKENIZERS[pre])
    expect(json.model.merges).toEqual([
      ['a', 'b'],
      ['Ġ', 'ab'],
    ])
    expect(Object.keys(json.model.vocab).slice(0, 8)).toEqual(['<|end|>', 'a', 'b', 'Ġ', 'ab', 'Ġab', '<user>', '[PAD7]'])
    expect(Object.keys(json.model.vocab).length).toBe(64)
    expect(json.added_tokens).toEqual([token(0, '<|end|>'), token(6, '<user>', false)])
    expect(back.tokenizerConfig).toMatchObject({ bos_token: '<|end|>', eos_token: '<|end|>' })
    expect(back.chatTemplate).toBe('{{ x }}')
    expect(json.post_processor).toBe(null)
  })

  it('writes a SentencePiece tokenizer with scores that give its merges again', async () => {
    const oracle = JSON.parse(readFileSync(fixture('spm.json'), 'utf8'))
    const source = await open('llama')
    const rows = oracle.tokens.length
    const wide = copies(source).map(t =>
      t.shape[0] === 64 && /embed|lm_head/.test(t.name)
        ? fromValue(t.name, 'f32', [rows, 32], () => ({ dtype: 'f32', shape: [rows, 32], bytes: new Uint8Array(rows * 128) }))
        : t,
    )
    const files = {
      ...source,
      config: { ...source.config, vocab_size: rows },
      tokenizerJson: oracle.tokenizerJson,
      tokenizerConfig: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
    }
    const back = await ggufCheckpoint(memorySource('x.gguf', await written(files, wide)))
    const json = back.tokenizerJson as any
    expect(json.model.vocab).toEqual(oracle.tokenizerJson.model.vocab)
    expect(json.model.merges).toEqual(oracle.tokenizerJson.model.merges)
    expect(json.normalizer).toEqual(oracle.tokenizerJson.normalizer)
    expect(json.post_processor.single).toEqual(oracle.tokenizerJson.post_processor.single)
  })

  it.each([
    ['a model type', (c: Checkpoint) => ({ ...c, config: { ...c.config, model_type: 'mamba2' } }), /model type "mamba2" is not written/],
    [
      'a rope scaling',
      (c: Checkpoint) => ({ ...c, config: { ...c.config, rope_scaling: { rope_type: 'dynamic', factor: 2 } } }),
      /dynamic/,
    ],
    ['a tokenizer', (c: Checkpoint) => ({ ...c, tokenizerJson: { model: { type: 'Unigram' } } }), /model Unigram/],
    [
      'a way to cut text',
      (c: Checkpoint) => ({
        ...c,
        tokenizerJson: { model: { type: 'BPE', vocab: {}, merges: [] }, pre_tokenizer: { type: 'Whitespace' } },
      }),
      /Whitespace/,
    ],
  ])('refuses %s it cannot say, and leaves nothing', async (_, change, why) => {
    const source = await open('llama')
    const out = memoryOutput()
    const error = await saveGguf(out, change(source), copies(source)).catch(e => e)
    expect(error.code).toBe('ERR_UNSUPPORTED')
    expect(error.message).toMatch(why)
    expect(out.files.size).toBe(0)
  })

  it('refuses a tensor without a place, by name', async () => {
    const source = await open('llama')
    const extra = fromValue('model.layers.0.extra.weight', 'f32', [1], () => ({ dtype: 'f32', shape: [1], bytes: new Uint8Array(4) }))
    await expect(written(source, [...copies(source), extra])).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      data: { tensor: extra.name },
    })
  })
})

const bytes = (f: Float32Array): Buffer => Buffer.from(f.buffer, f.byteOffset, f.byteLength)
