import { AttuneError } from '@attune/tensor'
import { type Folder, folderOf } from '../folder.ts'
import { httpSource } from '../http.ts'
import type { ByteSource } from '../source.ts'
import { type HubOptions, type HubRef, parseHubRef } from './hub.ts'
import { access } from './hub-settings.ts'

/** The repository that an address of the hub shows: its page, a folder or a file of it. */
export function hubRefOfUrl(text: string, options: HubOptions): HubRef | undefined {
  const { origin, pathname } = parsed(text)
  const homes = [access({ ...options, token: '' }).endpoint, 'https://huggingface.co', 'https://hf.co']
  const home = homes.find(h => `${origin}${pathname}`.startsWith(`${h}/`))
  if (home === undefined) return undefined
  const path = `${origin}${pathname}`.slice(home.length)
  const [org, name, kind, ...rest] = path.split('/').filter(Boolean).map(plain)
  const length = rest[0] === 'refs' ? 3 : 1 // refs/pr/3
  const [revision, file] = [rest.slice(0, length).join('/'), rest.slice(length).join('/')]
  const shown = kind === undefined || (['tree', 'blob', 'resolve'].includes(kind) && revision !== '')
  return shown ? parseHubRef(`${org}/${name}${revision && `@${revision}`}${file && kind !== 'tree' ? `:${file}` : ''}`) : undefined
}

const BESIDE = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json']

/** A weight file on any server, read by ranges where it lies; a safetensors file with the JSON files beside it. No token is sent. */
export async function urlFolder(text: string, { signal, fetch }: HubOptions = {}): Promise<Folder> {
  const url = parsed(text)
  const name = plain(url.pathname.split('/').at(-1)!)
  if (!/\.(gguf|safetensors)$/.test(name))
    throw new AttuneError('ERR_NOT_FOUND', `${text} is no .gguf or .safetensors file, and no page of the hub`, { model: text })
  const sources: ByteSource[] = [await httpSource(url.href, { name, signal, fetch })]
  for (const file of name.endsWith('.gguf') ? [] : BESIDE) {
    const beside = new URL(file, url)
    beside.search = url.search
    const found = await httpSource(beside.href, { name: file, signal, fetch }).catch(error => {
      if (error instanceof AttuneError && error.code === 'ERR_NOT_FOUND') return undefined
      throw error
    })
    if (found) sources.push(found)
  }
  return folderOf(text, sources)
}

function parsed(text: string): URL {
  try {
    return new URL(text)
  } catch (cause) {
    throw new AttuneError('ERR_NOT_FOUND', `${text} is no address`, { model: text }, cause)
  }
}
/** A part of a path as it is meant; one that is not well escaped as it is written. */
function plain(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
