import type { TensorEntry } from '../checkpoint.ts'
import { formatError, show } from '../error.ts'
import type { Folder } from '../folder.ts'
import { isObject, parseJson } from '../json.ts'
import type { ByteSource } from '../source.ts'
import { readSafetensors } from './read.ts'

export const INDEX_FILE = 'model.safetensors.index.json'
const MAX_JSON = 64 << 20

/** Which shard holds each tensor. Errors: `ERR_FORMAT`, also for a shard that names another folder. */
export async function readIndex(source: ByteSource, signal?: AbortSignal): Promise<Map<string, string>> {
  if (source.size > MAX_JSON) throw formatError(source.name, 'index', 0, `${source.size} bytes, the limit is ${MAX_JSON}`)
  const { value, offsets } = parseJson(source.name, await source.read(0, source.size, signal), 'index')
  const { weight_map: map } = value
  const at = offsets.get('weight_map') ?? 0
  if (!isObject(map) || Object.keys(map).length === 0) throw formatError(source.name, 'weight_map', at, 'not an object that names tensors')
  for (const [tensor, shard] of Object.entries(map))
    if (typeof shard !== 'string' || !/^[\w.-]+$/.test(shard) || shard.startsWith('.'))
      throw formatError(source.name, `weight_map.${show(tensor)}`, at, 'not a plain file name', { tensor })
  return new Map(Object.entries(map) as [string, string][])
}

/** Opens the shards of an index: every tensor must lie in the shard the index says, and no shard may hold another. */
export async function openShards(
  folder: Folder,
  index: Map<string, string>,
  signal?: AbortSignal,
): Promise<{ tensors: Map<string, TensorEntry>; sources: ByteSource[] }> {
  const tensors = new Map<string, TensorEntry>()
  const sources: ByteSource[] = []
  try {
    for (const shard of new Set(index.values())) {
      const source = await folder.open(shard, signal)
      sources.push(source)
      for (const [name, tensor] of (await readSafetensors(source, signal)).tensors) {
        if (index.get(name) !== shard)
          throw formatError(shard, name, 8, `the index puts this tensor in ${index.get(name) ?? 'no file'}`, {
            tensor: name,
            index: index.get(name),
          })
        tensors.set(name, tensor)
      }
    }
    for (const [name, shard] of index)
      if (!tensors.has(name)) throw formatError(shard, name, 8, 'the index puts a tensor here that the file lacks', { tensor: name })
  } catch (error) {
    await Promise.all(sources.map(s => s.close()))
    throw error
  }
  return { tensors, sources }
}
