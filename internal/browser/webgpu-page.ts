import { webgpu } from '@attune/backend-webgpu'
import { folderOf, httpSource, openCheckpoint } from '@attune/weights'
import { type Answer, answer, load } from './answer.ts'

/** What a test asks of the page with WebGPU. */
export interface WebGpuPage {
  answer(folder: string, prompt: number[], maxTokens: number): Promise<Answer & { readonly device: string }>
}

const page: WebGpuPage = {
  async answer(folder, prompt, maxTokens) {
    const device = await webgpu()
    const files = ['config.json', 'generation_config.json', 'model.safetensors']
    const sources = await Promise.all(files.map(name => httpSource(`${folder}/${name}`, { name })))
    const model = await load(await openCheckpoint(folderOf(folder, sources)), device)
    const result = await answer(model, prompt, maxTokens)
    await model.dispose()
    await device.close()
    return { ...result, device: device.name }
  },
}

Object.assign(globalThis, { page })
