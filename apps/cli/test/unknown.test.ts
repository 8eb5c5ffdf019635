import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attune, scratch, toy } from './cli.ts'

it('--allow-unknown names what a model type does not know, once, and goes on', async () => {
  const folder = join(await scratch(), 'odd')
  await cp(toy, folder, { recursive: true })
  const file = join(folder, 'config.json')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), surprise: true }))
  const strict = await attune(['inspect', folder])
  expect(strict).toMatchObject({ code: 1, output: '', errors: expect.stringMatching(/^error\[ERR_UNSUPPORTED\].*'surprise'/) })
  const run = ['run', 'x', '-n', '4', '--temperature', '0', '--quiet', '--json']
  const plain = await attune(run.with(1, toy))
  const loose = await attune([...run.with(1, folder), '--allow-unknown'])
  expect(loose.code).toBe(0)
  expect(loose.errors).toBe("not known and left out: config key 'surprise'\n")
  expect(loose.json.text).toEqual(plain.json.text)
})
