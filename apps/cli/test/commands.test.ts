import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attune, chatToy, scratch, toy } from './cli.ts'

it('run continues a prompt, the same as text, as JSON and from a file', async () => {
  const file = join(await scratch(), 'prompt.txt')
  await writeFile(file, 'The Rays of Light')
  const text = await attune(['run', toy, '-p', 'The Rays of Light', '-n', '12'])
  expect(text.code, text.errors).toBe(0)
  expect(text.errors).toMatch(/12 tokens, first after .* tokens\/s on cpu/)
  const { json } = await attune(['run', toy, '--prompt-file', file, '-n', '12', '--json', '--quiet'])
  expect(text.output).toBe(`${json.text}\n`)
  expect(json.ids).toHaveLength(12)
  expect(json).toMatchObject({ prompt: 'The Rays of Light', finish: 'length' })
  const piped = await attune(['run', toy, '--prompt-file', '-', '-n', '12', '--quiet'], { lines: ['The Rays of Light'] })
  expect(piped.output).toBe(text.output)
  expect(piped.errors).toBe('')
})

it('run draws the same tokens for the same seed', async () => {
  const draw = async (seed: string) =>
    (await attune(['run', toy, '-n', '16', '--temperature', '1.5', '--seed', seed, '--json'])).json.ids.join()
  expect(await draw('3')).toBe(await draw('3'))
  expect(await draw('3')).not.toBe(await draw('4'))
})

it('chat answers line by line and remembers', async () => {
  const dir = await chatToy()
  const talk = await attune(['chat', dir, '-n', '6', '--json', '--system', 'Speak of light.'], {
    lines: ['What is Light?', '', 'And a Prism?'],
  })
  expect(talk.code, talk.errors).toBe(0)
  const { messages } = talk.json
  expect(messages.map((m: { role: string }) => m.role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant'])
  // The second answer is that of a fresh model given the whole conversation.
  const whole = messages.slice(0, 4).map((m: { role: string; content: string }) => `${m.role}: ${m.content}\n`)
  const again = await attune(['run', dir, '-p', `${whole.join('')}assistant: `, '-n', '6', '--json'])
  expect(messages[4].content).toBe(again.json.text)
  const forgot = await attune(['chat', dir, '-n', '6', '--json'], { lines: ['What is Light?', '/reset', 'And a Prism?', '/exit', 'never'] })
  expect(forgot.json.messages).toHaveLength(2)
})

it('chat refuses a model without a template', async () => {
  const { code, errors } = await attune(['chat', toy])
  expect(code).toBe(1)
  expect(errors).toMatch(/error\[ERR_UNSUPPORTED\].*no chat template/)
})

it('inspect reads headers', async () => {
  const { json } = await attune(['inspect', toy, '--json'])
  expect(json).toMatchObject({ type: 'llama', parameters: 681344, layers: 5, dim: 128, vocab: 512, tied: true, kvBytesPerToken: 2560 })
  expect(json.attention[4]).toMatchObject({ variant: 'gqa', config: { heads: 8, kvHeads: 4 }, kvBytesPerToken: 512 })
  expect((await attune(['inspect', toy])).output).toMatch(/0–4 +gqa/)
})

it('eval measures perplexity', async () => {
  const file = join(await scratch(), 'text.txt')
  await writeFile(file, 'The Sun shining through a Prism cast its Colours upon the Paper.')
  const { json } = await attune(['eval', toy, '--text', file, '--json'])
  expect(json.perplexity).toBeGreaterThan(1)
  expect(json.perplexity).toBeCloseTo(Math.exp(json.nll), 6)
  const text = await attune(['eval', toy, '--text', file])
  expect(text.output).toContain(`perplexity ${json.perplexity.toFixed(4)}`)
})

it('compare finds no difference between a model and itself', async () => {
  const { json } = await attune(['compare', toy, toy, '--json', '-p', 'The Rays of Light'])
  expect(json).toMatchObject({ maxLogitDifference: 0, meanKl: 0, topAgreement: 1, firstDivergence: -1, kvBytesPerToken: [2560, 2560] })
  expect(json.layerErrors).toEqual([0, 0, 0, 0, 0])
})

it('explain names what runs each op', async () => {
  const { json } = await attune(['explain', toy, '--json'])
  expect(json.total).toBeGreaterThan(30)
  expect(json.ops[0]).toMatchObject({ op: expect.any(String), by: expect.any(String), refused: expect.any(Array) })
  expect((await attune(['explain', toy])).output).toMatch(/\d+ of \d+ ops have a kernel on cpu/)
})

it('variants and doctor answer', async () => {
  const { json } = await attune(['variants', '--json'])
  const attention = json.variants.filter((v: { kind: string }) => v.kind === 'attention')
  expect(attention.slice(0, 3).map((v: { name: string }) => v.name)).toEqual(['mha', 'gqa', 'mqa'])
  expect(json.bridges).toContainEqual(expect.objectContaining({ from: 'gqa', to: 'mha', exactness: 'exact' }))
  expect((await attune(['doctor', '--json'])).json.cpu).toMatchObject({ backend: expect.stringMatching(/native|wasm/) })
})

it('a policy drops rows of the prompt', async () => {
  const file = join(await scratch(), 'text.txt')
  const text = 'The Sun shining through a Prism cast its Colours upon the Paper. '.repeat(8)
  await writeFile(file, text)
  const whole = await attune(['run', toy, '--prompt-file', file, '-n', '8', '--json'])
  const all = await attune(['run', toy, '--prompt-file', file, '-n', '8', '--policy', 'snapkv', '--budget', '4096', '--json'])
  expect(all.json.ids).toEqual(whole.json.ids)
  const few = await attune(['run', toy, '--prompt-file', file, '-n', '8', '--policy', 'snapkv', '--budget', '0.1', '--json'])
  expect(few.code, few.errors).toBe(0)
  expect(few.json.cacheBytes).toBeLessThan(all.json.cacheBytes)

  const plain = await attune(['eval', toy, '--text', file, '--window', '128', '--prompt', '64', '--json'])
  const evicted = await attune(['eval', toy, '--text', file, '--window', '128', '--policy', 'random', '--budget', '8', '--json'])
  expect(evicted.json).toMatchObject({ prompt: 64, policy: 'random', tokens: plain.json.tokens })
  expect(evicted.json.perplexity).not.toBe(plain.json.perplexity)
  const packed = await attune([
    'run',
    toy,
    '--prompt-file',
    file,
    '-n',
    '8',
    '--policy',
    'snapkv',
    '--budget',
    '0.1',
    '--kv',
    'int4',
    '--json',
  ])
  expect(packed.json.cacheBytes).toBeLessThan(few.json.cacheBytes)
  expect((await attune(['run', toy, '--policy', 'none'])).errors).toMatch(/Allowed choices are snapkv, h2o/)
  expect((await attune(['run', toy, '--policy', 'h2o', '--budget', '1.5'])).errors).toMatch(/share below 1/)
})

it('keeps keys and values in fewer bits', async () => {
  const file = join(await scratch(), 'text.txt')
  await writeFile(file, 'The Sun shining through a Prism cast its Colours upon the Paper. '.repeat(8))
  const run = async (...flags: string[]) => (await attune(['run', toy, '--prompt-file', file, '-n', '4', '--json', ...flags])).json
  const plain = await run()
  expect((await run('--cache', 'paged')).ids).toEqual(plain.ids)
  expect((await run('--kv', 'f16')).cacheBytes).toBe(plain.cacheBytes / 2)
  expect((await run('--kv', 'int8')).cacheBytes).toBeLessThan(plain.cacheBytes / 2)
  expect((await run('--kv', 'int4')).cacheBytes).toBeLessThan((await run('--kv', 'int8')).cacheBytes)
  expect((await attune(['run', toy, '--kv', 'int4', '--cache', 'ring'])).errors).toMatch(/goes without --cache/)
  expect((await attune(['run', toy, '--cache', 'ring', '--policy', 'h2o'])).errors).toMatch(/a policy evicts pages/)
})

it('variants lists policies and what each is compared with', async () => {
  const { json } = await attune(['variants', '--json'])
  const policies = json.variants.filter((v: { kind: string }) => v.kind === 'policy')
  expect(policies.map((p: { name: string }) => p.name)).toContain('kvzip')
  for (const { name, proven, oracle, paper } of policies) {
    expect([name, proven]).toEqual([name, name !== 'random'])
    if (proven) expect([typeof oracle, paper]).toEqual(['string', expect.stringMatching(/^https:/)])
  }
})
