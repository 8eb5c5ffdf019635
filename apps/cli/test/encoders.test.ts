import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attune, scratch } from './cli.ts'

const fixtures = new URL('../../../packages/models/test/fixtures/', import.meta.url).pathname
const words = ['light', 'moves', 'in', 'straight', 'lines']

/** A fixture with a tokenizer of a few words. */
async function worded(name: string, files: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const dir = join(await scratch(), name)
  await cp(join(fixtures, name), dir, { recursive: true })
  const vocab = Object.fromEntries(['[UNK]', '[CLS]', '[SEP]', ...words].map((w, i) => [w, i]))
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: { '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] }, '[SEP]': { id: '[SEP]', ids: [2], tokens: ['[SEP]'] } },
    },
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
  }
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer))
  await writeFile(join(dir, 'tokenizer_config.json'), '{}')
  for (const [file, json] of Object.entries(files)) await writeFile(join(dir, file), JSON.stringify(json))
  return dir
}

it('embed gives vectors of length 1 and their cosines; batches do not matter', async () => {
  const dir = await worded('bert')
  const { json, code, errors } = await attune(['embed', '-m', dir, 'light moves', 'lines', 'straight lines in light', '--json'])
  expect(code, errors).toBe(0)
  expect(json).toMatchObject({ dim: 64, texts: ['light moves', 'lines', 'straight lines in light'] })
  const alone = await attune(['embed', '-m', dir, 'lines', '--json'])
  json.embeddings[1].forEach((x: number, i: number) => expect(x).toBeCloseTo(alone.json.embeddings[0][i], 5))
  expect(Math.hypot(...json.embeddings[0])).toBeCloseTo(1, 5)
  expect(json.cosines[0][0]).toBeCloseTo(1, 5)
  const piped = await attune(['embed', '-m', dir, '-'], { lines: ['light moves', 'lines'] })
  expect(piped.output).toMatch(/1 light moves +1\.000 +-?0\.\d{3}/)
})

it('embed pools as asked, and as the files beside the model ask', async () => {
  const first = await attune(['embed', '-m', await worded('bert'), 'light', '--pooling', 'cls', '--no-normalise', '--json'])
  const modules = { 'modules.json': [{ type: 'a.Transformer' }, { type: 'a.Pooling' }] }
  const filed = await attune(['embed', '-m', await worded('bert', modules), '--pooling', 'cls', 'light', '--json'])
  expect(filed.json.embeddings).toEqual(first.json.embeddings)
  const max = await attune(['embed', '-m', await worded('bert'), 'light', '--pooling', 'max', '--json'])
  expect(max.json.embeddings).not.toEqual(first.json.embeddings)
  expect((await attune(['embed', '-m', await worded('bert'), 'light', '--pooling', 'sum'])).errors).toMatch(
    /--pooling must be one of mean, cls, max/,
  )
  expect((await attune(['embed', '-m', await worded('bert')])).errors).toMatch(/no text/)
})

it('inspect shows encoders', async () => {
  const { json } = await attune(['inspect', join(fixtures, 'modernbert'), '--json'])
  expect(json).toMatchObject({
    type: 'modernbert',
    layers: 4,
    dim: 64,
    input: { kind: 'tokens', vocab: 256 },
    head: { size: 256, of: 'tokens' },
  })
  const { output } = await attune(['inspect', join(fixtures, 'vit')])
  expect(output).toMatch(/images in patches of \d+ × \d+/)
  expect(output).toMatch(/logits of 10 for each input/)
})

it('commands for language models refuse encoders by name, and the other way round', async () => {
  expect((await attune(['run', join(fixtures, 'bert')])).errors).toMatch(/ERR_UNSUPPORTED.*is an encoder \(bert\), not a language model/)
  expect((await attune(['embed', '-m', join(fixtures, 'gemma2'), 'x'])).errors).toMatch(/ERR_UNSUPPORTED.*is a language model \(gemma2\)/)
})

it('run answers from an encoder-decoder about its prompt', async () => {
  const dir = await worded('t5')
  const answer = (prompt: string) => attune(['run', dir, '-p', prompt, '-n', '6', '--json'])
  const first = await answer('light moves')
  expect(first.code, first.errors).toBe(0)
  expect(first.json.ids.length).toBeGreaterThan(0)
  expect((await answer('light moves')).json.ids).toEqual(first.json.ids)
  expect((await answer('straight lines in')).json.ids).not.toEqual(first.json.ids)
})
