import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { env } from '@huggingface/transformers'
import { root } from '../lib/workspace.mjs'
import { loopbackHub } from './hub.ts'

const toy = join(root, 'apps/cli/assets/toy')
const TEMPLATE = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}'
const SETTINGS = ['HF_ENDPOINT', 'HF_HUB_OFFLINE', 'HF_TOKEN', 'ATTUNE_CACHE'] as const

export interface Workplace {
  /** Where packages resolve; the working folder of every snippet of a page. */
  folder(page: string): Promise<string>
  readonly endpoint: string
  close(): Promise<void>
}

/**
 * A folder for snippets, a hub on loopback that has tiny models under the names that pages use, and an empty cache for what they download.
 * Every page's folder has `text.txt` (Newton's Opticks), `toy/`, a model, and `model.safetensors`, its weights.
 */
export async function workplace(): Promise<Workplace> {
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  const home = await mkdtemp(join(root, 'internal/.cache/snippets-'))
  const models = { chat: join(home, 'models/chat'), onnx: join(home, 'models/onnx') }
  await cp(toy, models.chat, { recursive: true })
  await cp(join(root, 'apps/cli/test/fixtures/onnx-llama'), models.onnx, { recursive: true })
  for (const model of Object.values(models)) {
    const path = join(model, 'tokenizer_config.json')
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), chat_template: TEMPLATE }))
  }
  const hub = await loopbackHub({
    'HuggingFaceTB/SmolLM2-135M-Instruct': models.chat,
    'HuggingFaceTB/SmolLM2-360M-Instruct': models.onnx,
  })
  const before = SETTINGS.map(name => [name, process.env[name]] as const)
  for (const [name] of before) delete process.env[name]
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, ATTUNE_CACHE: join(home, 'cache') })
  Object.assign(env, { remoteHost: `${hub.endpoint}/`, allowLocalModels: false, cacheDir: join(home, 'transformers-cache') })
  const from = process.cwd()
  return {
    endpoint: hub.endpoint,
    async folder(page) {
      const folder = join(home, page.replace(/\W+/g, '-'))
      await mkdir(folder, { recursive: true })
      await cp(join(root, 'apps/cli/assets/opticks.txt'), join(folder, 'text.txt'))
      await cp(models.chat, join(folder, 'toy'), { recursive: true })
      await cp(join(models.chat, 'model.safetensors'), join(folder, 'model.safetensors'))
      return folder
    },
    async close() {
      process.chdir(from)
      for (const [name, value] of before) value === undefined ? delete process.env[name] : (process.env[name] = value)
      await hub.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}
