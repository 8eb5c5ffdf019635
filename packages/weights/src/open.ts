import { AttuneError } from '@attune/tensor'
import type { Checkpoint, TensorEntry } from './checkpoint.ts'
import { formatError } from './error.ts'
import type { Folder } from './folder.ts'
import { ggufCheckpoint } from './gguf/checkpoint.ts'
import { parseJson } from './json.ts'
import { refuseAdapter, refuseConfig } from './refusals.ts'
import { readSafetensors } from './safetensors/read.ts'
import { INDEX_FILE, openShards, readIndex } from './safetensors/shards.ts'
import { LENGTH_FILE, MODULES_FILE, POOLING_FILE } from './sentence.ts'
import type { ByteSource } from './source.ts'

/**
 * Opens a folder of model files: headers only. A GGUF brings its own config and tokenizer; safetensors come with JSON files beside them.
 * Errors: `ERR_FORMAT`, `ERR_NOT_FOUND`, `ERR_UNSUPPORTED`, `ERR_ABORTED`.
 */
export async function openCheckpoint(folder: Folder, signal?: AbortSignal): Promise<Checkpoint> {
  const names = folder.files.map(f => f.name)
  const ggufs = names.filter(n => n.endsWith('.gguf'))
  refuseAdapter(folder.name, names)
  if (names.includes(INDEX_FILE) || safetensorsOf(names).length > 0) return openSafetensors(folder, signal)
  if (ggufs.length === 1) return { ...(await ggufCheckpoint(await folder.open(ggufs[0], signal), signal)), name: folder.name }
  if (ggufs.length > 1)
    throw new AttuneError('ERR_UNSUPPORTED', `${folder.name} holds ${ggufs.length} GGUF files; name one of them: ${ggufs.join(', ')}`, {
      folder: folder.name,
      files: ggufs,
    })
  const pickled = names.find(n => /\.(bin|pt|pth|ckpt|msgpack|h5|onnx)$/.test(n))
  if (pickled)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${folder.name} holds weights only as ${pickled}, which attune does not read; save the model as safetensors first`,
      { folder: folder.name, file: pickled },
    )
  throw new AttuneError('ERR_NOT_FOUND', `${folder.name} holds no .safetensors or .gguf file`, { folder: folder.name, files: names })
}

const safetensorsOf = (names: string[]): string[] => names.filter(n => n.endsWith('.safetensors') && !n.includes('/'))

async function openSafetensors(folder: Folder, signal?: AbortSignal): Promise<Checkpoint> {
  const names = folder.files.map(f => f.name)
  const config = await readJson(folder, 'config.json', signal)
  if (!config)
    throw new AttuneError('ERR_NOT_FOUND', `${folder.name} has no config.json beside its weights`, {
      folder: folder.name,
      file: 'config.json',
    })
  refuseConfig(folder.name, config)
  const { tensors, sources } = await openTensors(folder, names, signal)
  const tokenizerConfig = await readJson(folder, 'tokenizer_config.json', signal)
  return {
    name: folder.name,
    format: 'safetensors',
    config,
    tensors,
    tokenizerJson: await readJson(folder, 'tokenizer.json', signal),
    tokenizerConfig,
    generationConfig: await readJson(folder, 'generation_config.json', signal),
    chatTemplate: (await readText(folder, 'chat_template.jinja', signal)) ?? defaultTemplate(tokenizerConfig?.chat_template),
    conversion: await readJson(folder, 'conversion.json', signal),
    sentence: Object.fromEntries(
      await Promise.all([POOLING_FILE, MODULES_FILE, LENGTH_FILE].map(async file => [file, await readText(folder, file, signal)] as const)),
    ),
    files: folder.files,
    texts: await textsOf(folder, ['config.json', 'generation_config.json', 'tokenizer_config.json'], signal),
    async close() {
      await Promise.all(sources.map(s => s.close()))
    },
  }
}

async function openTensors(
  folder: Folder,
  names: string[],
  signal?: AbortSignal,
): Promise<{ tensors: ReadonlyMap<string, TensorEntry>; sources: ByteSource[] }> {
  const whole = names.includes('model.safetensors') ? ['model.safetensors'] : safetensorsOf(names)
  if (names.includes(INDEX_FILE) && !names.includes('model.safetensors')) {
    const index = await folder.open(INDEX_FILE, signal)
    try {
      return await openShards(folder, await readIndex(index, signal), signal)
    } finally {
      await index.close()
    }
  }
  if (whole.length > 1)
    throw new AttuneError('ERR_UNSUPPORTED', `${folder.name} holds ${whole.length} safetensors files but no ${INDEX_FILE}`, {
      folder: folder.name,
      files: whole,
    })
  const source = await folder.open(whole[0], signal)
  try {
    return { tensors: (await readSafetensors(source, signal)).tensors, sources: [source] }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** `chat_template` is a string, or a list of named ones of which `default` counts. */
function defaultTemplate(template: unknown): string | undefined {
  if (typeof template === 'string') return template
  if (!Array.isArray(template)) return undefined
  const named = template.find(t => t?.name === 'default') ?? template[0]
  return typeof named?.template === 'string' ? named.template : undefined
}

const MAX_TEXT = 16 << 20
const MAX_TOKENIZER = 64 << 20 // the largest published ones have 35 MB

async function readBytes(folder: Folder, file: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
  if (!folder.files.some(f => f.name === file)) return undefined
  const source = await folder.open(file, signal)
  try {
    const most = file === 'tokenizer.json' ? MAX_TOKENIZER : MAX_TEXT
    if (source.size > most) throw formatError(file, 'file', 0, `${source.size} bytes, the limit is ${most}`)
    return await source.read(0, source.size, signal)
  } finally {
    await source.close()
  }
}

async function readText(folder: Folder, file: string, signal?: AbortSignal): Promise<string | undefined> {
  const bytes = await readBytes(folder, file, signal)
  return bytes && new TextDecoder().decode(bytes)
}

async function textsOf(folder: Folder, names: readonly string[], signal?: AbortSignal): Promise<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const name of names) {
    const text = await readText(folder, name, signal)
    if (text !== undefined) texts[name] = text
  }
  return texts
}

async function readJson(folder: Folder, file: string, signal?: AbortSignal): Promise<Record<string, unknown> | undefined> {
  const bytes = await readBytes(folder, file, signal)
  return bytes && parseJson(file, bytes).value
}
