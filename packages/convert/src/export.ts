import { decoderParams, filesFromValues, idleTensors, type Model, type ModelDefinition, specOf } from '@attune/models'
import { AttuneError, isCodec } from '@attune/tensor'
import { type Checkpoint, fromEntry, GGUF_TYPES, type GgufType, type OutputFolder, saveCheckpoint, type TensorEntry } from '@attune/weights'
import { constantSource, RoundingMeter } from './constant-source.ts'
import type { Conversion } from './convert.ts'
import { type FolderForm, folderForm, settled } from './folder-form.ts'
import { type ConversionRecord, recordOf, storedMost } from './record.ts'

/** Types of the numbers in a folder. */
type FolderType = 'f32' | 'f16' | 'bf16'
/** What numbers may be written in: packed types in a GGUF only. */
export type ExportDType = 'as-stored' | GgufType
export const EXPORT_DTYPES: readonly ExportDType[] = ['as-stored', ...GGUF_TYPES]

/** Errors: `ERR_ARGUMENT` for a type that a folder's files do not hold. */
export function folderType(dtype: ExportDType = 'as-stored'): FolderType | undefined {
  if (dtype === 'as-stored') return undefined
  if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') return dtype
  throw new AttuneError('ERR_ARGUMENT', `a folder holds no numbers packed as ${dtype}, only f32, f16 or bf16; name a .gguf file for them`, {
    dtype,
  })
}

/** How a model is written as a folder. */
export interface ExportOptions {
  /**
   * Element type of every tensor. Default `as-stored`: as the source has the tensor; where it has none of that name, as most of the source.
   * What is packed there becomes f32 in a folder, and in a GGUF stays as it is, byte for byte.
   */
  readonly dtype?: ExportDType
  /** How the model came about, for conversion.json. */
  readonly conversion?: Pick<Conversion, 'plan' | 'report'>
  /** Token ids the conversion was calibrated on: their hash is recorded. */
  readonly calibration?: ArrayLike<number>
  /** Largest file (default 2 GB). */
  readonly maxShardBytes?: number
  /** Also hash the source's tensors, which reads them once more (default true). */
  readonly hashes?: boolean
  readonly signal?: AbortSignal
  onProgress?(event: { readonly tensor: string; readonly written: number; readonly total: number }): void
}

/** A writer that can tell what it wrote, and goes on where an earlier one was ended. */
export interface Resuming {
  hash(file: string): Promise<string | undefined>
  /** What the meter had added up by the end of a weight file that is there already; undefined where it must be written. */
  finished?(file: string): unknown
  onFile?(file: string, sha256: string | undefined, state: unknown): Promise<void>
  /** More to record about the files, once all others are written. */
  about?(record: ConversionRecord, definition: ModelDefinition): Promise<Partial<ConversionRecord>>
}

/**
 * Writes a model as a Hugging Face folder that other programs open, and conversion.json beside it: of the source's type, or of DeepSeek's
 * where all layers are latent attention. Where layers differ in their key-value heads, narrow ones are written as copies up to a common
 * count, and `applyConversion` takes them out again. One tensor is in memory at a time; nothing is visible before all is written.
 * Errors: `ERR_UNSUPPORTED` for layers that the model type cannot say, `ERR_ABORTED`.
 */
export const exportModel = (out: OutputFolder, model: Model, source: Checkpoint, options: ExportOptions = {}): Promise<ConversionRecord> =>
  exportTo(out, model, source, options)

/** The same, for a writer that goes on where an earlier one was ended. */
export async function exportTo(
  out: OutputFolder,
  model: Model,
  source: Checkpoint,
  options: ExportOptions,
  resuming?: Resuming,
): Promise<ConversionRecord> {
  const { signal, maxShardBytes = 2e9, onProgress } = options
  const asked = folderType(options.dtype)
  const dtype = asked ?? dtypeOf(source)
  const form = await folderForm(model, source)
  const config = { ...form.config, ['dtype' in source.config ? 'dtype' : 'torch_dtype']: DTYPES[dtype] }
  const meter = new RoundingMeter()
  const files: Record<string, string> = {} // filled likewise
  const told: ConversionRecord = {
    ...(await recordOf(model, source, form, dtype, options)),
    rounding: meter, // filled while the tensors are written, before this record is
    ...(resuming ? { files } : {}),
  }
  let record = told
  const layout = form.model.definition.layout(form.model.spec)
  const tensors = [
    ...[...filesFromValues(layout, form.model.values, source.tensors)].map(([name, c]) =>
      constantSource(name, c, asked ?? ownType(source, name) ?? dtype, meter),
    ),
    ...idle(model, form, source).map(entry => fromEntry(entry, FLOATS.has(entry.dtype) && asked ? { dtype: asked } : {})),
  ]
  const noticed = async (file: string): Promise<string | undefined> => {
    const hash = await resuming?.hash(file)
    if (hash !== undefined) files[file] = hash
    return hash
  }
  const watched: OutputFolder = {
    ...out,
    async create(file) {
      const target = await out.create(file)
      const finish = async () => {
        await target.finish()
        if (file === 'conversion.json') return
        const hash = await noticed(file)
        if (/^model.*\.safetensors$/.test(file)) await resuming?.onFile?.(file, hash, meter.state)
      }
      return { write: bytes => target.write(bytes), finish }
    },
  }
  const isFinished = async (file: string): Promise<boolean> => {
    const state = resuming?.finished?.(file)
    if (state === undefined) return false
    meter.state = state as RoundingMeter['state']
    await noticed(file)
    return true
  }
  await saveCheckpoint(watched, { ...source, config }, tensors, {
    maxShardBytes,
    isFinished,
    signal,
    extra: async () => {
      record = { ...told, ...(await resuming?.about?.(told, form.model.definition)) }
      return { 'conversion.json': record as unknown as Record<string, unknown> }
    },
    onProgress,
  })
  return { ...record, rounding: { relative: meter.relative, largest: meter.largest } }
}

const DTYPES = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const

const FLOATS = new Set<unknown>(['f32', 'f16', 'bf16'])

/** What the source's files hold beside what is computed with, where the folder is of the same type. */
function idle({ definition, variants }: Model, form: FolderForm, source: Checkpoint): TensorEntry[] {
  if (form.model.definition !== definition) return []
  const spec = specOf(definition, source, settled)
  return idleTensors(source, definition.layout(spec), decoderParams(spec, variants)).map(name => source.tensors.get(name)!)
}

/** The type of the source's tensor of this name, if it is one that is written. */
function ownType({ tensors }: Checkpoint, name: string): FolderType | undefined {
  const own = tensors.get(name)?.dtype
  return own === 'f32' || own === 'f16' || own === 'bf16' ? own : undefined
}

/** f32 where anything is packed; else the type of most of the source's numbers. */
function dtypeOf(source: Checkpoint): FolderType {
  const packed = [...source.tensors.values()].some(({ dtype }) => isCodec(dtype as never))
  const most = packed ? 'f32' : storedMost(source)
  return most === 'f16' || most === 'bf16' ? most : 'f32'
}
