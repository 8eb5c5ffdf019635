import { readFile } from 'node:fs/promises'
import { cross, mha } from '@attune/attention-heads'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { encoderFrom, modelFrom, t5, vit } from '../src/index.ts'

const variants = new Map([mha, cross].map(v => [v.name, v]))
const fixture = (name: string): string => new URL(`fixtures/${name}`, import.meta.url).pathname
const golden = async (name: string) => JSON.parse(await readFile(`${fixture(name)}/golden.json`, 'utf8'))
const tensors = async (name: string) => (await readSafetensors(await fileSource(`${fixture(name)}/golden.safetensors`))).tensors

/** The tiny t5 and what transformers says of it, for `testEncoderDecoder`. */
export async function t5Oracle() {
  const all = await tensors('t5')
  return {
    model: modelFrom(await openCheckpoint(await diskFolder(fixture('t5'))), t5, variants),
    golden: await golden('t5'),
    tensor: (key: string) => floats(all.get(key)!),
  }
}

const vitModel = async () => encoderFrom(await openCheckpoint(await diskFolder(fixture('vit'))), vit, variants)

/** The tiny vit and what transformers says of it, for `testEncoder`. */
export async function vitOracle() {
  const all = await tensors('vit')
  const tensor = (key: string) => floats(all.get(key)!)
  const images = async (key: string) => {
    const [count, channels, height, width] = all.get(key)!.shape
    const pixels = await tensor(key)
    const size = channels * height * width
    return Array.from({ length: count }, (_, i) => ({ image: { data: pixels.slice(i * size, (i + 1) * size), channels, height, width } }))
  }
  return {
    model: await vitModel(),
    tolerance: Math.max(2e-4, 3e-5 * (await golden('vit')).logit_absmax_B),
    batches: { A: await images('A.pixel_values'), B: await images('B.pixel_values') },
    hidden: { batch: 'A', states: await Promise.all([0, 1, 2, 3].map(i => tensor(`A.hidden_states.${i}`))) },
    heads: { A: await tensor('A.logits'), B: await tensor('B.logits') },
  }
}
