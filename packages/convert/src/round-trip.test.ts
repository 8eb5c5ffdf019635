import { readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as types from '@attune/models'
import { type Definition, type EncoderDefinition, encoderFrom, filesFromValues, type ModelDefinition, modelFrom } from '@attune/models'
import type { ParamValues } from '@attune/nn'
import type { Constant } from '@attune/tensor'
import { type Checkpoint, folderOf, fromValue, memoryOutput, memorySource, openCheckpoint, saveCheckpoint, value } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { everyVariant } from '../test/every-variant.ts'
import { exportModel } from './index.ts'

const root = fileURLToPath(new URL('../../models/test/fixtures/', import.meta.url))
type Known = Definition<unknown> & { readonly kind?: string }
const isDefinition = (x: unknown): x is Known => typeof x === 'object' && x !== null && 'type' in x && 'layout' in x && 'spec' in x
/** Every model type there is, by name. */
const definitions = new Map((Object.values(types) as unknown[]).filter(isDefinition).map(d => [d.type, d]))
/** Every tiny checkpoint there is. */
const folders = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(f => f.endsWith('config.json') && !f.endsWith('_config.json'))
  .map(f => dirname(f))

const open = async (folder: string) => openCheckpoint(await diskFolder(root + folder))
const again = (files: ReadonlyMap<string, Uint8Array>) =>
  openCheckpoint(
    folderOf(
      'copy',
      [...files].map(([name, bytes]) => memorySource(name, bytes)),
    ),
  )
const loaded = (source: Checkpoint, definition: Known): { values: ParamValues; spec: unknown } =>
  definition.kind === 'encoder'
    ? encoderFrom(source, definition as EncoderDefinition, everyVariant)
    : modelFrom(source, definition as ModelDefinition, everyVariant)

async function saved(source: Checkpoint, definition: Known): Promise<Checkpoint> {
  const out = memoryOutput()
  const { values, spec } = loaded(source, definition)
  if (definition.kind !== 'encoder')
    await exportModel(out, modelFrom(source, definition as ModelDefinition, everyVariant), source, { hashes: false })
  else {
    const files = filesFromValues(definition.layout(spec), values, source.tensors)
    const write = async (c: Constant) => {
      const bytes = await c.bytes()
      return value(c.dtype, c.shape, () => bytes)
    }
    await saveCheckpoint(
      out,
      source,
      [...files].map(([name, c]) => fromValue(name, source.tensors.get(name)!.dtype as 'f32', c.shape, () => write(c))),
    )
  }
  return again(out.files)
}

it('has a tiny checkpoint of every type', () => {
  const held = new Set(folders.map(f => JSON.parse(readFileSync(`${root}${f}/config.json`, 'utf8')).model_type))
  expect([...definitions.keys()].filter(type => !held.has(type))).toEqual([])
})

it.each(folders)('%s is loaded, saved and loaded without a change of a bit', async folder => {
  const source = await open(folder)
  const definition = definitions.get(source.config.model_type as string)!
  const copy = await saved(source, definition)
  expect({ ...copy.config, dtype: 0, torch_dtype: 0 }).toEqual({ ...source.config, dtype: 0, torch_dtype: 0 })
  if (definition.kind !== 'encoder') expect([...copy.tensors.keys()].sort()).toEqual([...source.tensors.keys()].sort())
  for (const [name, entry] of copy.tensors) {
    const own = source.tensors.get(name)
    expect([name, entry.shape, entry.dtype]).toEqual([name, own?.shape, own?.dtype])
    expect([name, Buffer.compare(await entry.read(), await own!.read())]).toEqual([name, 0])
  }
  const [before, after] = [loaded(source, definition), loaded(copy, definition)]
  expect(after.spec).toEqual(before.spec)
  expect([...after.values.keys()]).toEqual([...before.values.keys()])
  for (const [path, { weight, bias }] of before.values)
    for (const [part, c] of [
      ['weight', weight],
      ['bias', bias],
    ] as const)
      if (c) expect([path, part, Buffer.compare(await c.bytes(), await after.values.get(path)![part]!.bytes())]).toEqual([path, part, 0])
  await source.close()
})
