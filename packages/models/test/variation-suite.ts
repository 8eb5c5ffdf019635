import { readFile } from 'node:fs/promises'
import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { type Device, reference } from '@attune/tensor'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { afterAll, describe, expect, it } from 'vitest'
import { allLogits, filesFromValues, type ModelDefinition, modelFrom, Runner } from '../src/index.ts'

/**
 * Tiny checkpoints of test/fixtures/variations against transformers (internal/oracles/model-variations.py): settings that the larger
 * fixtures leave out.
 */
export function variationSuite(names: readonly string[], definitions: readonly ModelDefinition[], attention: readonly Variant[]): void {
  const variants = new Map(attention.map(v => [v.name, v]))
  const opened = new Map<string, Promise<Device>>([
    ['reference', Promise.resolve(reference())],
    ['native', cpu({ backend: 'native', threads: 2 })],
  ])
  afterAll(async () => {
    for (const device of opened.values()) await (await device).close()
  })

  describe.each(names)('%s', name => {
    const path = new URL(`fixtures/variations/${name}`, import.meta.url).pathname
    const load = async () => {
      const checkpoint = await openCheckpoint(await diskFolder(path))
      return { checkpoint, model: modelFrom(checkpoint, definitions.find(d => d.type === checkpoint.config.model_type)!, variants) }
    }
    it.each([...opened.keys()])('gives the logits of transformers, in uneven pieces, on %s', async device => {
      const { tensors } = await readSafetensors(await fileSource(`${path}/expected.safetensors`))
      const want = await floats(tensors.get('logits')!)
      const ids = [...(await floats(tensors.get('ids')!))]
      const { checkpoint, model } = await load()
      const runner = new Runner(model, (await opened.get(device))!)
      const sequence = runner.open()
      const tolerance = Math.max(2e-4, 3e-5 * want.reduce((m, x) => Math.max(m, Math.abs(x)), 0))
      for (const [from, to] of [
        [0, 17],
        [17, 18],
        [18, 30],
      ]) {
        const { data } = await (await runner.step([{ sequence, ids: ids.slice(from, to), span: ids.length }], allLogits)).read('logits')
        expect(data.length).toBe((to - from) * model.spec.vocab)
        for (let i = 0; i < data.length; i++) expect(Math.abs(data[i] - want[from * model.spec.vocab + i])).toBeLessThan(tolerance)
      }
      await runner.dispose()
      await checkpoint.close()
    })
    it('says the same in the style of transformers 4, where it has one', async () => {
      const told = async (file: string) => JSON.parse(await readFile(`${path}/${file}`, 'utf8'))
      const config = await told('config.json')
      const { spec } = definitions.find(d => d.type === config.model_type)!
      expect(spec(await told('config.legacy.json').catch(() => config))).toEqual(spec(config))
    })
    it('is not read with a tensor missing, under another name or too many', async () => {
      const { checkpoint, model } = await load()
      const opened = (tensors: typeof checkpoint.tensors) => () => modelFrom({ ...checkpoint, tensors }, model.definition, variants)
      const needed = new Set(filesFromValues(model.definition.layout(model.spec), model.values).keys())
      const all = [...checkpoint.tensors].filter(([name]) => needed.has(name))
      for (const [name, entry] of all) {
        const others = all.filter(([other]) => other !== name)
        expect(opened(new Map(others)), name).toThrow(/tensor/)
        expect(opened(new Map([...others, [`${name}_`, entry]])), name).toThrow(/tensor/)
        expect(opened(new Map([...all, [`${name}_`, entry]])), name).toThrow(`${name}_`)
      }
      await checkpoint.close()
    })
    it('is written as it was read', async () => {
      const { checkpoint, model } = await load()
      for (const [file, made] of filesFromValues(model.definition.layout(model.spec), model.values)) {
        const entry = checkpoint.tensors.get(file)!
        expect([file, made.shape, Buffer.compare(await made.bytes(), await entry.read())]).toEqual([file, entry.shape, 0])
      }
      await checkpoint.close()
    })
  })
}
