import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attune, scratch, toy } from './cli.ts'

it('a converted folder verifies, with its source and without; a changed one does not', async () => {
  const out = join(await scratch(), 'made')
  const made = await attune(['convert', toy, '--to', 'mqa', '--method', 'mean', '--layers', '0-1', '--out', out])
  expect(made.code, made.errors).toBe(0)
  expect(made.output).toMatch(/perplexity +[\d.]+ → [\d.]+\n/)

  const { code, json, errors } = await attune(['verify', out, '--source', toy, '--json'])
  expect(code, errors).toBe(0)
  expect(json).toMatchObject({ holds: true, checked: json.claims.length })
  expect(json.claims.map((c: { claim: string }) => c.claim)).toEqual(expect.arrayContaining(['mean KL', 'error of layer 1', 'source']))

  const alone = await attune(['verify', out])
  expect(alone.code).toBe(0)
  expect(alone.output).toMatch(/claims looked into, all hold; \d+ open/)

  const path = join(out, 'conversion.json')
  await writeFile(path, (await readFile(path, 'utf8')).replace('"exactness": "approximate"', '"exactness": "exact"'))
  const changed = await attune(['verify', out, '--source', toy, '--no-replay'])
  expect(changed.code).toBe(1)
  expect(changed.output).toMatch(/class +WRONG +exact +approximate/)
  expect(changed.errors).toMatch(/ERR_CONVERSION.*wrong about class/)
})
