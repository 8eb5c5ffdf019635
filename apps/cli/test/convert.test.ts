import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attune, scratch, toy } from './cli.ts'

it('a dry run prints cost and class and writes nothing', async () => {
  const out = join(await scratch(), 'out')
  const { code, json, errors } = await attune([
    'convert',
    toy,
    '--to',
    'mqa',
    '--method',
    'least-squares',
    '--out',
    out,
    '--dry-run',
    '--json',
  ])
  expect(code, errors).toBe(0)
  expect(json).toMatchObject({ exactness: 'least-squares', kvBytesPerToken: { before: 2560, after: 640 } })
  expect(json.calibrationTokens).toBeGreaterThan(1000)
  await expect(readdir(out)).rejects.toThrow('ENOENT')
})

it('by flags: more heads, exact, and the folder says so', async () => {
  const out = join(await scratch(), 'wide')
  const made = await attune(['convert', toy, '--to', 'mha', '--out', out])
  expect(made.code, made.errors).toBe(0)
  expect(made.output).toMatch(/class +exact/)
  expect((await readdir(out)).sort()).toEqual(
    ['config.json', 'conversion.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'].sort(),
  )
  const { json } = await attune(['compare', toy, out, '--json'])
  expect(json.maxLogitDifference).toBeLessThan(1e-4)
  expect(json.kvBytesPerToken).toEqual([2560, 5120])
})

it('by a plan file in YAML: some layers, read back with the small cache', async () => {
  const dir = await scratch()
  const plan = join(dir, 'plan.yaml')
  await writeFile(
    plan,
    'layers:\n  - { layers: 0-1, to: mqa, method: aligned }\n  - { layers: [3], to: gqa, method: mean, config: { kvHeads: 2 } }\n',
  )
  const made = await attune(['convert', toy, '--plan', plan, '--out', join(dir, 'out'), '--dtype', 'f32', '--json'])
  expect(made.code, made.errors).toBe(0)
  expect(made.json.dtype).toBe('f32')
  const { json } = await attune(['inspect', join(dir, 'out'), '--json'])
  expect(json.attention.map((l: { variant: string }) => l.variant)).toEqual(['mqa', 'mqa', 'gqa', 'gqa', 'gqa'])
  expect(json.kvBytesPerToken).toBe(128 + 128 + 512 + 256 + 512)
})

it('to latents: a DeepSeek folder that keeps what the flags say', async () => {
  const out = join(await scratch(), 'latent')
  const sizes = ['--set', 'ropeDim=16', '--set', 'latent=65', '--set', 'latentNorm']
  const made = await attune(['convert', toy, '--to', 'mla', ...sizes, '--option', 'rope=real', '--out', out, '--json'])
  expect(made.code, made.errors).toBe(0)
  expect(made.json.report.layers[0]).toMatchObject({ to: 'mla', path: ['transmla'] })
  const { figures } = made.json.report.layers[0]
  expect(figures.ropeEnergyComplex).toBeGreaterThanOrEqual(figures.ropeEnergyReal)
  expect(made.json.plan.layers[0]).toMatchObject({ config: { ropeDim: 16, latent: 65, latentNorm: true }, options: { rope: 'real' } })
  const { json } = await attune(['compare', toy, out, '--json'])
  expect(json.kvBytesPerToken).toEqual([2560, 5 * 4 * 81])
  expect(json.meanKl).toBeLessThan(1)
  const wrong = await attune(['convert', toy, '--to', 'mla', '--set', '=3', '--out', out])
  expect(wrong.code).not.toBe(0)
  expect(wrong.errors).toMatch(/'=3' is not name=value/)
})

it('by quality: as many layers as the limit allows', async () => {
  const out = join(await scratch(), 'plan')
  const { code, json, errors } = await attune([
    'convert',
    toy,
    '--to',
    'mqa',
    '--method',
    'least-squares',
    '--quality',
    '1.07',
    '--out',
    out,
    '--json',
  ])
  expect(code, errors).toBe(0)
  const kept = json.quality.filter((p: { kept: boolean }) => p.kept)
  expect(kept.length).toBeGreaterThan(0)
  expect(json.report.layers.length).toBe(Math.max(...kept.map((p: { layers: number[] }) => p.layers.length)))
})

it('an interrupt leaves no folder; the same command goes on to the same bytes', async () => {
  const dir = await scratch()
  const command = (name: string, ...more: string[]) => [
    ...['convert', toy, '--to', 'mqa', '--method', 'least-squares', '--no-measure', '--out', join(dir, name), ...more],
  ]
  const stop = new AbortController()
  const journal = async () => (await readFile(join(dir, 'out.partial', 'journal.jsonl'), 'utf8').catch(() => '')).split('\n').length
  const watch = setInterval(async () => (await journal()) > 3 && stop.abort(), 5)
  const ended = await attune(command('out'), { signal: stop.signal })
  clearInterval(watch)
  expect(ended.code).toBe(130)
  expect(ended.errors).toMatch(/what was finished is kept in .*out\.partial; the same command goes on/)
  expect(await readdir(dir)).toEqual(['out.partial'])
  const other = await attune(command('out', '--seed', '3'))
  expect(other.code).toBe(1)
  expect(other.errors).toMatch(/ERR_CONVERSION.*differs in seed \(0, now 3\)/)
  const next = await attune(command('out', '--resume'))
  expect(next.code, next.errors).toBe(0)
  expect(next.errors).toMatch(/[1-5] layers were converted before/)
  await attune(command('undisturbed'))
  for (const file of ['model.safetensors', 'conversion.json'])
    expect(await readFile(join(dir, 'out', file)), file).toEqual(await readFile(join(dir, 'undisturbed', file)))
  const nothing = await attune(command('out', '--resume'))
  expect(nothing.code).toBe(2)
  expect(nothing.errors).toMatch(/no unfinished conversion/)
})

it('to a GGUF in a packed type, which runs with the small cache', async () => {
  const dir = await scratch()
  const out = join(dir, 'small.gguf')
  const plan = ['--to', 'mqa', '--method', 'mean', '--layers', '0', '--dtype', 'q8_0', '--no-measure']
  const refused = await attune(['convert', toy, ...plan, '--out', dir])
  expect(refused.code).toBe(2)
  expect(refused.errors).toMatch(/no numbers packed as q8_0/)
  const made = await attune(['convert', toy, ...plan, '--out', out])
  expect(made.code, made.errors).toBe(0)
  expect(made.output).toMatch(/small\.gguf in q8_0 \(rounding error 0\.00\d+\)/)
  const { json } = await attune(['compare', toy, out, '--json'])
  expect(json.kvBytesPerToken).toEqual([2560, 2560 - 512 + 128])
  expect((await attune(['verify', out, '--source', toy])).code).toBe(0)
})

it('a folder that holds something else is not touched', async () => {
  const dir = await scratch()
  await writeFile(join(dir, 'diary.txt'), 'mine')
  const { code, errors } = await attune(['convert', toy, '--to', 'mha', '--out', dir])
  expect(code).toBe(2)
  expect(errors).toMatch(/not empty/)
  expect(await readFile(join(dir, 'diary.txt'), 'utf8')).toBe('mine')
})
