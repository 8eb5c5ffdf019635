import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { llama, modelFrom } from '@attune/models'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { conversionRun } from '../test/conversion-run.ts'
import { device, variants } from '../test/fixture.ts'
import type { Claim, VerifyOptions } from './index.ts'
import { verifyFolder } from './node/index.ts'

const tiny = (name: string) => fileURLToPath(new URL(`../../models/test/fixtures/${name}`, import.meta.url))
let root: string
let made: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-verify-'))
  made = join(root, 'made')
  await conversionRun(tiny('llama-gqa-tied'), made)
})
afterAll(() => rm(root, { recursive: true }))

async function verified(folder: string, source?: string, options: VerifyOptions = { device }) {
  const open = async (path: string) => {
    const checkpoint = await openCheckpoint(await diskFolder(path))
    return { checkpoint, model: modelFrom(checkpoint, llama, variants) }
  }
  const { checkpoint, model } = await open(folder)
  const from = source === undefined ? undefined : await open(tiny(source))
  try {
    return await verifyFolder(folder, checkpoint, model, { ...options, source: from })
  } finally {
    await checkpoint.close()
    await from?.checkpoint.close()
  }
}
const wrong = (claims: readonly Claim[]) => claims.filter(c => c.holds === false).map(c => c.claim)
const open = (claims: readonly Claim[]) => claims.filter(c => c.holds === undefined).map(c => c.claim)

it('finds every claim of a conversion true', async () => {
  const { holds, claims, checked } = await verified(made, 'llama-gqa-tied')
  expect(wrong(claims)).toEqual([])
  expect(open(claims)).toEqual([])
  expect([holds, checked]).toEqual([true, claims.length])
  expect(claims.map(c => c.claim)).toEqual(
    expect.arrayContaining([
      'file config.json',
      'file model-00001-of-00006.safetensors',
      'layers',
      'class',
      'KV bytes per token',
      'source',
      'error of layer 2',
      'exactness of layer 0',
      'mean KL',
      'perplexity',
    ]),
  )
  expect(claims.map(c => c.claim)).not.toContain('exactness of layer 2')
})

it('leaves open what needs a source or a device', async () => {
  const alone = await verified(made)
  expect(alone.holds).toBe(true)
  expect(open(alone.claims)).toEqual(expect.arrayContaining(['source', 'KV bytes per token of the source', 'mean KL', 'error of layer 2']))
  const still = await verified(made, 'llama-gqa-tied', {})
  expect(open(still.claims)).toContain('mean KL')
  expect(open(still.claims)).not.toContain('source')
})

async function edited(name: string, file: string, edit: (bytes: Buffer) => Buffer): Promise<string> {
  const folder = join(root, name)
  await cp(made, folder, { recursive: true })
  await writeFile(join(folder, file), edit(await readFile(join(folder, file))))
  return folder
}
const said = (name: string, edit: (record: any) => void) =>
  edited(name, 'conversion.json', bytes => {
    const record = JSON.parse(bytes.toString())
    edit(record)
    return Buffer.from(JSON.stringify(record))
  })

it('names the file that changed, and what no longer follows from it', async () => {
  const folder = await edited('flipped', 'model-00001-of-00006.safetensors', bytes => {
    for (let i = bytes.length - 4000; i < bytes.length; i += 2) bytes[i + 1] ^= 0x80
    return bytes
  })
  const { holds, claims } = await verified(folder, 'llama-gqa-tied')
  expect(holds).toBe(false)
  expect(wrong(claims)).toEqual(expect.arrayContaining(['file model-00001-of-00006.safetensors', 'mean KL', 'perplexity']))
  const gone = await edited('gone', 'generation_config.json', bytes => bytes)
  await rm(join(gone, 'generation_config.json'))
  expect((await verified(gone)).claims.find(c => c.holds === false)).toMatchObject({
    claim: 'file generation_config.json',
    found: 'not there',
  })
})

it.each([
  ['class', (r: any) => (r.exactness = 'exact')],
  ['KV bytes per token', (r: any) => (r.report.kvBytesPerToken.after -= 4)],
  ['KV bytes per token of the source', (r: any) => (r.report.kvBytesPerToken.before += 4)],
  ['type of most numbers', (r: any) => (r.dtype = 'f32')],
  ['source', (r: any) => (r.source.sha256 = r.source.sha256.replace(/./, (c: string) => (c === '0' ? '1' : '0')))],
  ['error of layer 2', (r: any) => (r.measured.errors[1].error *= 0.99)],
  ['mean KL', (r: any) => (r.measured.meanKl *= 0.9)],
  ['perplexity', (r: any) => (r.measured.perplexity.after *= 0.99)],
  ['plan', (r: any) => (r.plan.layers[0].to = 3)],
  ['layers', (r: any) => (r.layers[2].variant = 'nsa')],
])('finds a false %s', async (claim, edit) => {
  const { holds, claims } = await verified(await said(`said ${claim}`, edit), 'llama-gqa-tied')
  expect(holds).toBe(false)
  expect(wrong(claims)).toContain(claim)
})

it('finds that another source is not the one', async () => {
  const { claims } = await verified(made, 'llama-untied-bias', {})
  expect(wrong(claims)).toContain('source')
})

it('refuses a folder that claims nothing', async () => {
  await expect(verified(tiny('llama-gqa-tied'))).rejects.toThrow(/no conversion\.json/)
})
