import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { llama, modelFrom } from '@attune/models'
import { testModel } from '@attune/testing'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

const variants = new Map([mha, mqa, gqa].map(v => [v.name, v]))
const root = new URL('../../models/test/fixtures/', import.meta.url)

async function oracle(name: string) {
  const path = new URL(name, root).pathname
  const tensors = await readSafetensors(await fileSource(`${path}/golden.safetensors`))
  return {
    model: modelFrom(await openCheckpoint(await diskFolder(path)), llama, variants),
    golden: JSON.parse(await readFile(`${path}/golden.json`, 'utf8')),
    tensor: (key: string) => floats(tensors.tensors.get(key)!),
  }
}

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  for (const name of ['llama-gqa-tied', 'llama3-rope-mqa']) testModel(name, () => oracle(name), openWebGpu)
})
