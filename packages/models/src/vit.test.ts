import { readFile } from 'node:fs/promises'
import { mha } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { testEncoder } from '@attune/testing'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { encoderFrom, vit } from './index.ts'

const variants = new Map([[mha.name, mha]])
const path = new URL('../test/fixtures/vit/', import.meta.url).pathname
const model = async () => encoderFrom(await openCheckpoint(await diskFolder(path)), vit, variants)

async function oracle() {
  const { tensors } = await readSafetensors(await fileSource(`${path}/golden.safetensors`))
  const golden = JSON.parse(await readFile(`${path}/golden.json`, 'utf8'))
  const tensor = (key: string) => floats(tensors.get(key)!)
  const images = async (key: string) => {
    const [count, channels, height, width] = tensors.get(key)!.shape
    const all = await tensor(key)
    const size = channels * height * width
    return Array.from({ length: count }, (_, i) => ({ image: { data: all.slice(i * size, (i + 1) * size), channels, height, width } }))
  }
  return {
    model: await model(),
    tolerance: Math.max(2e-4, 3e-5 * golden.logit_absmax_B),
    batches: { A: await images('A.pixel_values'), B: await images('B.pixel_values') },
    hidden: { batch: 'A', states: await Promise.all([0, 1, 2, 3].map(i => tensor(`A.hidden_states.${i}`))) },
    heads: { A: await tensor('A.logits'), B: await tensor('B.logits') },
  }
}

testEncoder('vit, reference', oracle, async () => reference())
testEncoder('vit, native', oracle, () => cpu({ backend: 'native', threads: 2 }))
testEncoder('vit, WebAssembly', oracle, () => cpu({ backend: 'wasm', threads: 2 }))
