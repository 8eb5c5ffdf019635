import { readFile } from 'node:fs/promises'
import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { type ModelOracle, testModel } from '@attune/testing'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { type Definition, filesFromValues, type ModelDefinition, modelFrom } from '../src/index.ts'

const folder = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8'))

/**
 * A tiny checkpoint of test/fixtures against transformers, on the reference device, native and WebAssembly; its files written back.
 * `hidden` as in `ModelOracle`.
 */
export function goldenSuite(
  name: string,
  definition: ModelDefinition,
  attention: readonly Variant[],
  { hidden }: Pick<ModelOracle, 'hidden'> = {},
): void {
  const variants = new Map(attention.map(v => [v.name, v]))
  const open = async () => openCheckpoint(await diskFolder(folder(name)))
  const oracle = goldenOracle(name, definition, attention, { hidden })
  testModel(`${name}, reference`, oracle, async () => reference())
  testModel(`${name}, native`, oracle, () => cpu({ backend: 'native', threads: 2 }))
  testModel(`${name}, WebAssembly`, oracle, () => cpu({ backend: 'wasm', threads: 2 }))

  it(`${name}: writes the files it read`, async () => {
    const checkpoint = await open()
    const { spec, values } = modelFrom(checkpoint, definition, variants)
    const files = filesFromValues(definition.layout(spec), values)
    for (const [file, made] of files) {
      const entry = checkpoint.tensors.get(file)!
      const half = entry.shape.length === 1 && entry.dtype !== 'f32' // vectors of half numbers are read as f32
      expect([file, made.dtype, made.shape]).toEqual([file, half ? 'f32' : entry.dtype, entry.shape])
      const want = half ? Buffer.from((await floats(entry)).buffer) : await entry.read()
      expect([file, Buffer.compare(await made.bytes(), want)]).toEqual([file, 0])
    }
    for (const file of checkpoint.tensors.keys())
      if (!files.has(file)) expect(definition.layout(spec).load([file], { params: [] })).toEqual([])
    await checkpoint.close()
  })
}

/** A tiny checkpoint and what transformers says of it, for `testModel`. */
export function goldenOracle(
  name: string,
  definition: ModelDefinition,
  attention: readonly Variant[],
  { hidden }: Pick<ModelOracle, 'hidden'> = {},
): () => Promise<ModelOracle> {
  const variants = new Map(attention.map(v => [v.name, v]))
  return async () => {
    const tensors = await readSafetensors(await fileSource(`${folder(name)}/golden.safetensors`))
    return {
      model: modelFrom(await openCheckpoint(await diskFolder(folder(name))), definition, variants),
      golden: await json(`${folder(name)}/golden.json`),
      tensor: (key: string) => floats(tensors.tensors.get(key)!),
      hidden,
    }
  }
}

/** The Spec of a fixture's config.json, and of config.legacy.json where it has one: what transformers 4 wrote. */
export function sameSpecOfLegacy(name: string, definition: Definition<unknown>): void {
  it(`${name}: the config of transformers 4 says the same`, async () => {
    const spec = definition.spec(await json(`${folder(name)}/config.json`))
    expect(definition.spec(await json(`${folder(name)}/config.legacy.json`))).toEqual(spec)
  })
}
