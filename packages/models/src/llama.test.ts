import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { testModel } from '@attune/testing'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { llama, modelFrom } from './index.ts'

const variants = new Map([mha, mqa, gqa].map(v => [v.name, v]))
const root = new URL('../test/fixtures/', import.meta.url)

async function oracle(name: string) {
  const path = new URL(name, root).pathname
  const tensors = await readSafetensors(await fileSource(`${path}/golden.safetensors`))
  return {
    model: modelFrom(await openCheckpoint(await diskFolder(path)), llama, variants),
    golden: JSON.parse(await readFile(`${path}/golden.json`, 'utf8')),
    tensor: (key: string) => floats(tensors.tensors.get(key)!),
  }
}

for (const name of ['llama-gqa-tied', 'llama-untied-bias', 'llama3-rope-mqa']) {
  testModel(
    `${name}, reference`,
    () => oracle(name),
    async () => reference(),
  )
  testModel(
    `${name}, native`,
    () => oracle(name),
    () => cpu({ backend: 'native', threads: 2 }),
  )
  testModel(
    `${name}, WebAssembly`,
    () => oracle(name),
    () => cpu({ backend: 'wasm', threads: 2 }),
  )
}
