import { AttuneError } from '@attune/tensor'
import { type Checkpoint, floats, type TensorEntry, tensorEntry } from '../checkpoint.ts'
import { formatError, show } from '../error.ts'
import { parseJson } from '../json.ts'
import type { ByteSource } from '../source.ts'
import type { GgufArchitecture } from './architecture.ts'
import { GGUF_ARCHITECTURES } from './architectures/index.ts'
import { Metadata } from './metadata.ts'
import { type Gguf, type GgufTensor, readGguf } from './read.ts'
import { ggufTokenizer } from './tokenizer.ts'
import { undone } from './undo.ts'

const MAX_FOLDED = 1 << 16
/** Keys under any architecture that say how a model came about, not what it computes. */
const NOTES = new Set(['rope.scaling.finetuned', 'tensor_data_layout'])

/** Opens a GGUF file as a checkpoint in Hugging Face names: rows in half-split rope order, packed tensors left packed. */
export async function ggufCheckpoint(source: ByteSource, signal?: AbortSignal, architectures = GGUF_ARCHITECTURES): Promise<Checkpoint> {
  try {
    const gguf = await readGguf(source, signal)
    const meta = new Metadata(source.name, gguf.metadata, gguf.offsets)
    const architecture = findArchitecture(meta, architectures)
    const parts = meta.number('split.count') ?? 1
    if (parts > 1)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${source.name} is one of ${parts} parts of a GGUF; put them together first (llama-gguf-split --merge)`,
        {
          file: source.name,
          parts,
        },
      )
    const config = await configOf(source, meta, gguf, architecture, signal)
    const tensors = new Map<string, TensorEntry>()
    for (const tensor of gguf.tensors.values()) {
      if (architecture.folded.includes(tensor.name)) continue
      for (const entry of entriesOf(source, tensor, architecture, config)) {
        if (tensors.has(entry.name))
          throw formatError(source.name, show(tensor.name), tensor.byteOffset, `a second tensor for ${show(entry.name)}`, {
            tensor: tensor.name,
          })
        tensors.set(entry.name, entry)
      }
    }
    return {
      name: source.name,
      format: 'gguf',
      config,
      tensors,
      ...ggufTokenizer(meta),
      generationConfig: generationConfig(config, meta),
      conversion: conversionOf(meta),
      files: [{ name: source.name, size: source.size }],
      close: () => source.close(),
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** What conversion.json says beside safetensors. */
export const CONVERSION_NOTE = 'attune.conversion'

function conversionOf(meta: Metadata): Record<string, unknown> | undefined {
  const text = meta.string(CONVERSION_NOTE)
  return text === undefined ? undefined : parseJson(meta.file, new TextEncoder().encode(text), CONVERSION_NOTE).value
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
  const unknown = meta
    .unread(`${architecture.name}.`)
    .find(key => !Object.hasOwn(architecture.harmless, key) && !NOTES.has(key.slice(architecture.name.length + 1)))
  if (unknown)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${meta.file}: metadata key ${show(unknown)} is not known to attune's ${architecture.name} reader`,
      { file: meta.file, key: unknown },
    )
  return config
}

function entriesOf(source: ByteSource, tensor: GgufTensor, architecture: GgufArchitecture, config: Record<string, unknown>): TensorEntry[] {
  const parts = /^(?:blk\.(0|[1-9]\d*)\.)?([\w-]+)\.(weight|bias)$/.exec(tensor.name)
  const [, layer, own, kind] = parts ?? []
  const stem = layer === undefined ? own : `blk.{i}.${own}`
  if (!parts || !Object.hasOwn(architecture.names, stem))
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${source.name}: tensor ${show(tensor.name)} is not known to attune's ${architecture.name} reader`,
      { file: source.name, tensor: tensor.name },
    )
  const names = [architecture.names[stem]].flat().map(name => `${name.replace('{i}', layer)}.${kind}`)
  return undone(source, tensor, names, architecture.change?.(stem, kind as 'weight' | 'bias', config))
}

/** Tokens as config.json names them; an answer also ends where the file says that a turn does. */
function generationConfig(config: Record<string, unknown>, meta: Metadata): Record<string, unknown> {
  const named = ['bos_token_id', 'eos_token_id', 'pad_token_id'].filter(k => config[k] !== undefined).map(k => [k, config[k]])
  const ends = [config.eos_token_id, ...['eot', 'eom'].map(t => meta.number(`tokenizer.ggml.${t}_token_id`))]
  const distinct = [...new Set(ends.filter(id => Number.isSafeInteger(id)))]
  return { ...Object.fromEntries(named), ...(distinct.length > 1 ? { eos_token_id: distinct } : {}) }
}
