import { readFile } from 'node:fs/promises'
import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { type EncoderOracle, testEncoder } from '@attune/testing'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { type EncoderDefinition, encoderFrom, filesFromValues } from '../src/index.ts'

interface Golden {
  readonly inputs: Readonly<
    Record<string, { readonly input_ids: number[][]; readonly token_type_ids?: number[][]; readonly attention_mask?: number[][] }>
  >
  readonly logit_absmax_B: number
}

/** A tiny text encoder of test/fixtures against transformers: its head on every token, hidden states, a padded batch. */
function textEncoderOracle(name: string, definition: EncoderDefinition, attention: readonly Variant[]): () => Promise<EncoderOracle> {
  const path = new URL(`fixtures/${name}/`, import.meta.url).pathname
  return async () => {
    const checkpoint = await openCheckpoint(await diskFolder(path))
    const model = encoderFrom(checkpoint, definition, new Map(attention.map(v => [v.name, v])))
    const { tensors } = await readSafetensors(await fileSource(`${path}/golden.safetensors`))
    const golden: Golden = JSON.parse(await readFile(`${path}/golden.json`, 'utf8'))
    const tensor = (key: string) => floats(tensors.get(key)!)
    const size = model.spec.head!.size
    const heads = await Promise.all(Object.keys(golden.inputs).map(async key => [key, await tensor(`${key}.logits`)] as const))
    return {
      model,
      tolerance: Math.max(2e-4, 3e-5 * golden.logit_absmax_B),
      batches: Object.fromEntries(Object.entries(golden.inputs).map(([key, input]) => [key, itemsOf(input)])),
      hidden: {
        batch: 'A',
        states: await Promise.all([0, ...model.spec.layers.map((_, i) => i + 1)].map(i => tensor(`A.hidden_states.${i}`))),
      },
      heads: Object.fromEntries(heads.map(([key, all]) => [key, realRows(all, size, golden.inputs[key].attention_mask)])),
    }
  }
}

/** The suites of a text encoder on the reference device, native and WebAssembly; its files written back. */
export function encoderSuite(name: string, definition: EncoderDefinition, attention: readonly Variant[]): void {
  const oracle = textEncoderOracle(name, definition, attention)
  testEncoder(`${name}, reference`, oracle, async () => reference())
  testEncoder(`${name}, native`, oracle, () => cpu({ backend: 'native', threads: 2 }))
  testEncoder(`${name}, WebAssembly`, oracle, () => cpu({ backend: 'wasm', threads: 2 }))
  it(`${name}: writes the files it read`, async () => {
    const checkpoint = await openCheckpoint(await diskFolder(new URL(`fixtures/${name}`, import.meta.url).pathname))
    const { spec, values } = encoderFrom(checkpoint, definition, new Map(attention.map(v => [v.name, v])))
    const files = filesFromValues(definition.layout(spec), values)
    for (const [file, made] of files) {
      const entry = checkpoint.tensors.get(file)!
      expect([file, made.dtype, made.shape, Buffer.compare(await made.bytes(), await entry.read())]).toEqual([
        file,
        entry.dtype,
        entry.shape,
        0,
      ])
    }
    expect(files.size).toBeGreaterThan(0)
    await checkpoint.close()
  })
}

const itemsOf = ({ input_ids, token_type_ids, attention_mask }: Golden['inputs'][string]) =>
  input_ids.map((row, b) => {
    const real = row.flatMap((_, t) => (!attention_mask || attention_mask[b][t] ? [t] : []))
    return { ids: real.map(t => row[t]), ...(token_type_ids ? { types: real.map(t => token_type_ids[b][t]) } : {}) }
  })

/** Rows of the tokens that are no padding. */
function realRows(all: Float32Array, width: number, mask?: number[][]): Float32Array {
  if (!mask) return all
  const real = mask.flat().flatMap((m, i) => (m ? [i] : []))
  const out = new Float32Array(real.length * width)
  for (const [n, i] of real.entries()) out.set(all.subarray(i * width, (i + 1) * width), n * width)
  return out
}
