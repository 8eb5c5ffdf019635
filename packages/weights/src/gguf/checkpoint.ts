import { AttuneError } from '@attune/tensor'
import { type Checkpoint, floats, type TensorEntry, tensorEntry } from '../checkpoint.ts'
import { formatError, show } from '../error.ts'
import { interleavedRow } from '../layout/steps.ts'
import type { ByteSource } from '../source.ts'
import type { GgufArchitecture } from './architecture.ts'
import { llama } from './llama.ts'
import { Metadata } from './metadata.ts'
import { type Gguf, type GgufTensor, readGguf } from './read.ts'
import { ggufTokenizer } from './tokenizer.ts'

const MAX_FOLDED = 1 << 16

export const GGUF_ARCHITECTURES: readonly GgufArchitecture[] = [llama]

/** Opens a GGUF file as a checkpoint in Hugging Face names: rows in half-split rope order, packed tensors left packed. */
export async function ggufCheckpoint(source: ByteSource, signal?: AbortSignal, architectures = GGUF_ARCHITECTURES): Promise<Checkpoint> {
  try {
    const gguf = await readGguf(source, signal)
    const meta = new Metadata(source.name, gguf.metadata, gguf.offsets)
    const architecture = findArchitecture(meta, architectures)
    const config = await configOf(source, meta, gguf, architecture, signal)
    const tensors = new Map<string, TensorEntry>()
    for (const tensor of gguf.tensors.values()) {
      if (architecture.folded.includes(tensor.name)) continue
      const entry = entryOf(source, tensor, architecture, config)
      tensors.set(entry.name, entry)
    }
    return {
      name: source.name,
      format: 'gguf',
      config,
      tensors,
      ...ggufTokenizer(meta),
      generationConfig: generationConfig(config),
      files: [{ name: source.name, size: source.size }],
      close: () => source.close(),
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** config.json made from a GGUF's metadata. */
export async function ggufConfig(
  source: ByteSource,
  gguf: Gguf,
  signal?: AbortSignal,
  architectures = GGUF_ARCHITECTURES,
): Promise<Record<string, unknown>> {
  const meta = new Metadata(source.name, gguf.metadata, gguf.offsets)
  return configOf(source, meta, gguf, findArchitecture(meta, architectures), signal)
}

function findArchitecture(meta: Metadata, architectures: readonly GgufArchitecture[]): GgufArchitecture {
  const name = meta.require(meta.string('general.architecture'), 'general.architecture')
  const found = architectures.find(a => a.name === name)
  if (!found) {
    const known = architectures.map(a => a.name)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${meta.file}: general.architecture ${show(name)} is not read from GGUF; attune reads ${known.join(', ')}`,
      { file: meta.file, architecture: name, known },
    )
  }
  return found
}

async function configOf(
  source: ByteSource,
  meta: Metadata,
  gguf: Gguf,
  architecture: GgufArchitecture,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  const folded = new Map<string, Float32Array>()
  for (const name of architecture.folded) {
    const tensor = gguf.tensors.get(name)
    if (!tensor) continue
    if (tensor.type.storage !== 'f32' || tensor.shape.length !== 1 || tensor.shape[0] > MAX_FOLDED)
      throw formatError(source.name, show(name), tensor.byteOffset, `[${tensor.shape}] of ${tensor.type.name} is not a short F32 vector`, {
        tensor: name,
      })
    folded.set(name, await floats(tensorEntry(source, { name, dtype: 'f32', shape: tensor.shape, byteOffset: tensor.byteOffset }), signal))
  }
  const config = architecture.config(meta, gguf.tensors, folded)
  const unknown = meta.unread(`${architecture.name}.`).find(key => !Object.hasOwn(architecture.harmless, key))
  if (unknown)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${meta.file}: metadata key ${show(unknown)} is not known to attune's ${architecture.name} reader`,
      { file: meta.file, key: unknown },
    )
  return config
}

function entryOf(source: ByteSource, tensor: GgufTensor, architecture: GgufArchitecture, config: Record<string, unknown>): TensorEntry {
  const refuse = (why: string, data = {}) =>
    new AttuneError('ERR_UNSUPPORTED', `${source.name}: tensor ${show(tensor.name)} ${why}`, {
      file: source.name,
      tensor: tensor.name,
      ...data,
    })
  const { storage, name: type } = tensor.type
  if (!storage) throw refuse(`has type ${type}, which attune does not read yet`, { type })
  const name = huggingFaceName(tensor.name, architecture)
  if (!name) throw refuse(`is not known to attune's ${architecture.name} reader`)
  const { shape, byteOffset } = tensor
  const head = architecture.interleaved(tensor.name, config)
  if (head === undefined) return tensorEntry(source, { name, dtype: storage, shape, byteOffset })
  if (head % 2 !== 0 || shape[0] % head !== 0) throw refuse(`has ${shape[0]} rows, not whole heads of ${head}`)
  if (shape.length < 2 && typeof storage === 'object')
    throw refuse(`is a ${type} vector whose values are reordered, which needs unpacked values`)
  return tensorEntry(source, { name, dtype: storage, shape, byteOffset }, { group: head, of: row => interleavedRow(row, head) })
}

function huggingFaceName(ggufName: string, { names }: GgufArchitecture): string | undefined {
  const parts = /^(?:blk\.(0|[1-9]\d*)\.)?([\w-]+)\.(weight|bias)$/.exec(ggufName)
  if (!parts) return undefined
  const [, layer, stem, kind] = parts
  const key = layer === undefined ? stem : `blk.{i}.${stem}`
  return Object.hasOwn(names, key) ? `${names[key].replace('{i}', layer)}.${kind}` : undefined
}

function generationConfig(config: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(['bos_token_id', 'eos_token_id', 'pad_token_id'].filter(k => config[k] !== undefined).map(k => [k, config[k]]))
}
