import { AttuneError, q4_0, q4_1, q8_0 } from '@attune/tensor'
import { blockOf, type FileStorage, fileBytes } from '../dtypes.ts'
import { checkAbort } from '../error.ts'
import type { OutputFolder } from '../output.ts'
import type { CheckpointFiles } from '../save.ts'
import { fromValue, type TensorSource } from '../tensor-source.ts'
import type { Change, Config, Field, GgufArchitecture } from './architecture.ts'
import { GGUF_ARCHITECTURES } from './architectures/index.ts'
import { encoded } from './encode.ts'
import { ggufHeader, padded } from './header.ts'
import { Metadata } from './metadata.ts'
import { GGML_TYPES } from './types.ts'
import type { GgufValue } from './value.ts'
import { tokenizerFields } from './write-tokenizer.ts'

/** Types to write matrices in, with llama.cpp's numbers of the tensor type and of a file of mostly it. */
const TYPES = {
  f32: { storage: 'f32', type: 0, file: 0 },
  f16: { storage: 'f16', type: 1, file: 1 },
  bf16: { storage: 'bf16', type: 30, file: 32 },
  q4_0: { storage: q4_0, type: 2, file: 2 },
  q4_1: { storage: q4_1, type: 3, file: 3 },
  q8_0: { storage: q8_0, type: 8, file: 7 },
} as const satisfies Record<string, { storage: FileStorage; type: number; file: number }>

export type GgufType = keyof typeof TYPES
export const GGUF_TYPES = Object.keys(TYPES) as readonly GgufType[]

export interface SaveGgufOptions {
  /**
   * Of matrices (default f16), or of each of them. Vectors are f32; rows that are no whole blocks f16; of a q4_0 file the embedding and the
   * output are q8_0, unless they are packed as q4_0 already. What is packed as it shall be is copied, and its rows are moved, block by block.
   */
  readonly type?: GgufType | ((tensor: TensorSource) => GgufType)
  /** Texts for the file's metadata by key, beside what llama.cpp reads. */
  readonly notes?: Readonly<Record<string, string>>
  /** Shown values and what they became, where a type could not hold them as they were. */
  onRounded?(tensor: string, values: Float32Array, written: Float32Array): void
  /** Default model.gguf. */
  readonly fileName?: string
  /** `general.name`. */
  readonly name?: string
  readonly architectures?: readonly GgufArchitecture[]
  /** Shown the config as it will be read back, before anything is written; what it throws stops that. */
  check?(config: Record<string, unknown>): void
  readonly signal?: AbortSignal
  onProgress?(event: { tensor: string; written: number; total: number }): void
}

interface Planned {
  readonly name: string
  readonly source: TensorSource
  readonly as: (typeof TYPES)[GgufType]
  readonly change: Change | undefined
  readonly shape: readonly number[]
  readonly bytes: number
}

/**
 * Writes a model as one GGUF file that llama.cpp opens: tensors under its names and in its orders, config and tokenizer as metadata. Nothing is
 * visible before all is written. What the metadata cannot say of a config, reading it back shows: compare before trusting.
 * Errors: `ERR_UNSUPPORTED` for a model type, tensor or tokenizer that has no place in GGUF, `ERR_ABORTED`.
 */
export async function saveGguf(
  out: OutputFolder,
  files: CheckpointFiles,
  tensors: Iterable<TensorSource>,
  options: SaveGgufOptions = {},
): Promise<void> {
  const { type = 'f16', fileName = 'model.gguf', name, architectures = GGUF_ARCHITECTURES, signal, onProgress, onRounded } = options
  const { config } = files
  const architecture = architectureFor(config, architectures)
  const planned = plan(architecture, config, tensors, type)
  const rows = planned.find(t => t.name === 'token_embd.weight')?.shape[0] ?? 0
  const fields: Field[] = [
    ['general.architecture', 'string', architecture.name],
    ['general.type', 'string', 'model'],
    ...(name === undefined ? [] : ([['general.name', 'string', name]] as const)),
    ['general.file_type', 'u32', typeof type === 'string' ? TYPES[type].file : mostly(planned)],
    ['general.quantization_version', 'u32', 2],
    ...Object.entries(options.notes ?? {}).map(([key, text]) => [key, 'string', text] as const),
    ...architecture.metadata(config),
    ...tokenizerFields(files, rows),
  ]
  options.check?.(readBack(architecture, config, fileName, fields, planned))
  const total = planned.reduce((n, t) => n + t.bytes, 0)
  let written = 0
  try {
    const target = await out.create(fileName)
    await target.write(
      ggufHeader(
        fields,
        planned.map(({ name, shape, as, bytes }) => ({ name, shape, bytes, type: as.type })),
      ),
    )
    for (const tensor of planned) {
      let bytes = 0
      for await (const piece of encoded(
        tensor.source,
        tensor.as.storage,
        tensor.change,
        signal,
        onRounded && ((a, b) => onRounded(tensor.source.name, a, b)),
      )) {
        checkAbort(signal, `writing ${fileName}`)
        await target.write(piece)
        bytes += piece.length
      }
      if (bytes !== tensor.bytes)
        throw new AttuneError('ERR_SHAPE', `${tensor.name} gave ${bytes} bytes, but [${tensor.shape}] takes ${tensor.bytes}`, {
          tensor: tensor.name,
        })
      await target.write(new Uint8Array(padded(bytes) - bytes))
      written += bytes
      onProgress?.({ tensor: tensor.name, written, total })
    }
    await target.finish()
    await out.commit()
  } catch (error) {
    await out.discard()
    throw error
  }
}

/** What the metadata says of the config. */
function readBack(
  architecture: GgufArchitecture,
  config: Config,
  file: string,
  fields: readonly Field[],
  tensors: readonly Planned[],
): Record<string, unknown> {
  const values = fields.map(([key, type, value]) => [key, type === 'f32' ? Math.fround(value) : (value as GgufValue)] as const)
  const infos = tensors.map(
    ({ name, shape, bytes, as }) => [name, { name, shape, bytes, byteOffset: 0, type: GGML_TYPES.get(as.type)! }] as const,
  )
  const folded = architecture.unfolded?.(config) ?? []
  return architecture.config(new Metadata(file, new Map(values)), new Map(infos), new Map(folded.map(t => [t.name, t.values])))
}

function architectureFor(config: Config, architectures: readonly GgufArchitecture[]): GgufArchitecture {
  const found = architectures.find(a => a.types.includes(config.model_type as string))
  if (found) return found
  const known = architectures.flatMap(a => a.types)
  throw new AttuneError(
    'ERR_UNSUPPORTED',
    `model type ${JSON.stringify(config.model_type)} is not written as GGUF; attune writes ${known.join(', ')}`,
    {
      type: config.model_type,
      known,
    },
  )
}

/** The file type of most of the numbers. */
function mostly(tensors: readonly Planned[]): number {
  const sizes = new Map<number, number>()
  for (const { as, shape } of tensors) sizes.set(as.file, (sizes.get(as.file) ?? 0) + shape.reduce((n, d) => n * d, 1))
  return [...sizes].reduce((most, next) => (next[1] > most[1] ? next : most))[0]
}

type Types = NonNullable<SaveGgufOptions['type']>

function plan(architecture: GgufArchitecture, config: Config, tensors: Iterable<TensorSource>, type: Types): Planned[] {
  const tied = config.tie_word_embeddings === true
  const sources = [...tensors].filter(t => !(tied && t.name === 'lm_head.weight'))
  const known = namesOf(architecture)
  const named = sources.map(source => {
    const [, own, kind] = /^(.*)\.(weight|bias)$/.exec(source.name) ?? []
    const layer = /\.(\d+)\./.exec(source.name)?.[1]
    const stem = own === undefined ? undefined : known.get(own.replace(/\.\d+\./, '.{i}.'))
    if (stem === undefined)
      throw new AttuneError('ERR_UNSUPPORTED', `tensor ${source.name} has no place in a GGUF of ${architecture.name}`, {
        tensor: source.name,
      })
    const change = architecture.change?.(stem, kind as 'weight' | 'bias', config)
    return planned(`${stem.replace('{i}', layer ?? '')}.${kind}`, source, change, stem, type)
  })
  const extra = (architecture.unfolded?.(config) ?? []).map(({ name, values }) => {
    const source = fromValue(name, 'f32', [values.length], () => ({
      dtype: 'f32',
      shape: [values.length],
      bytes: new Uint8Array(values.buffer),
    }))
    return planned(name, source, undefined, name, type)
  })
  return [...extra, ...named]
}

function planned(name: string, source: TensorSource, change: Change | undefined, stem: string, types: Types): Planned {
  const shape = change?.kind === 'transposed' ? [...source.shape].reverse() : source.shape
  const width = shape[shape.length - 1] ?? 1
  const ends = stem === 'token_embd' || stem === 'output'
  const type = typeof types === 'string' ? types : types(source)
  const wanted = TYPES[type === 'q4_0' && ends && source.dtype !== q4_0 ? 'q8_0' : type]
  const as = shape.length < 2 || stem === 'position_embd' ? TYPES.f32 : width % blockOf(wanted.storage).block === 0 ? wanted : TYPES.f16
  return {
    name,
    source,
    as,
    change,
    shape,
    bytes: fileBytes(
      as.storage,
      shape.reduce((n, d) => n * d, 1),
    ),
  }
}

/** Hugging Face name with `{i}` → GGUF's, where it is one tensor for one. */
function namesOf({ names }: GgufArchitecture): Map<string, string> {
  return new Map(Object.entries(names).flatMap(([stem, name]) => (typeof name === 'string' ? [[name, stem] as const] : [])))
}
