import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { env } from '@huggingface/transformers'
import { root } from '../lib/workspace.mjs'
import { loopbackHub } from './hub.ts'
import { layModels } from './models.ts'

const SETTINGS = ['HF_ENDPOINT', 'HF_HUB_OFFLINE', 'HF_TOKEN', 'ATTUNE_CACHE'] as const

export interface Workplace {
  /** Where packages resolve; the working folder of every snippet of a page. */
  folder(page: string): Promise<string>
  close(): Promise<void>
}

/**
 * A folder for snippets, a hub on loopback that has tiny models under the names that pages use, and an empty cache for what they download.
 * Nothing else can be fetched. Every page's folder has `text.txt` (Newton's Opticks), `toy/`, a model, and `model.safetensors`, its weights.
 */
export async function workplace(): Promise<Workplace> {
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  const home = await mkdtemp(join(root, 'internal/.cache/snippets-'))
  const models = await layModels(home)
  const hub = await loopbackHub(models)
  const before = SETTINGS.map(name => [name, process.env[name]] as const)
  for (const [name] of before) delete process.env[name]
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, ATTUNE_CACHE: join(home, 'cache') })
  Object.assign(env, { remoteHost: `${hub.endpoint}/`, allowLocalModels: false, cacheDir: join(home, 'transformers-cache') })
  const restoreFetch = onlyFrom(hub.endpoint)
  const from = process.cwd()
  return {
    async folder(page) {
      const folder = join(home, page.replace(/\W+/g, '-'))
      const toy = models['HuggingFaceTB/SmolLM2-135M-Instruct']
      await mkdir(folder, { recursive: true })
      await cp(join(root, 'apps/cli/assets/opticks.txt'), join(folder, 'text.txt'))
      await cp(toy, join(folder, 'toy'), { recursive: true })
      await cp(join(toy, 'model.safetensors'), join(folder, 'model.safetensors'))
      return folder
    },
    async close() {
      process.chdir(from)
      restoreFetch()
      for (const [name, value] of before) value === undefined ? delete process.env[name] : (process.env[name] = value)
      await hub.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** Lets `fetch` reach one server alone. */
function onlyFrom(endpoint: string): () => void {
  const { fetch } = globalThis
  globalThis.fetch = (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    return url.startsWith(endpoint) ? fetch(input, init) : Promise.reject(new TypeError(`a snippet fetches ${url}`))
  }
  return () => void (globalThis.fetch = fetch)
}
