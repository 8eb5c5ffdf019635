import { filesFromValues, type Model, type ModelDefinition } from '@attune/models'
import { type Storage, storageName } from '@attune/tensor'
import {
  type Checkpoint,
  CONVERSION_NOTE,
  GGUF_TYPES,
  type GgufType,
  type OutputFolder,
  saveGguf,
  type TensorEntry,
  type TensorSource,
} from '@attune/weights'
import { type Rounding, RoundingMeter } from './constant-source.ts'
import type { ExportOptions } from './export.ts'
import { folderForm } from './folder-form.ts'
import { type ConversionRecord, recordOf, storedMost } from './record.ts'
import { sameSpec } from './same-spec.ts'

/** What a writer of one file is given beside its options. */
export interface GgufTarget {
  readonly fileName: string
  /** Where the file is written first, to see what it is like. */
  readonly trial: OutputFolder
  /** Opens what was written there. */
  opened(): Promise<Checkpoint>
  readonly out: OutputFolder
  /** More to record about the file. */
  about?(record: ConversionRecord, definition: ModelDefinition, written: Checkpoint): Promise<Partial<ConversionRecord>>
}

/**
 * Writes a model as one GGUF file, with what conversion.json says as a note in its metadata. Weights that are packed as they shall be are
 * copied block by block, rows of heads picked, repeated or moved; what was made by arithmetic, or is asked for in another type, is packed
 * anew and the loss recorded. The note stands before the weights, so the file is written twice. Errors: `ERR_UNSUPPORTED`, `ERR_ABORTED`.
 */
export async function exportGguf(
  target: GgufTarget,
  model: Model,
  source: Checkpoint,
  options: ExportOptions = {},
): Promise<ConversionRecord> {
  const { fileName, trial, out } = target
  const { dtype = 'as-stored', signal, onProgress } = options
  const form = await folderForm(model, source)
  const meter = new RoundingMeter()
  const tensors = [...filesFromValues(form.model.definition.layout(form.model.spec), form.model.values, source.tensors)].map(
    ([name, constant]): TensorSource => ({
      name,
      dtype: constant.dtype,
      shape: constant.shape,
      async *pieces() {
        yield await constant.bytes()
      },
    }),
  )
  const files = { ...source, config: form.config }
  const type = dtype === 'as-stored' ? storedAs(source) : dtype
  const write = (to: OutputFolder, notes: Record<string, string>, onRounded?: (n: string, a: Float32Array, b: Float32Array) => void) =>
    saveGguf(to, files, tensors, {
      ...{ type, fileName, notes, signal, onRounded },
      check: told => sameSpec([form.model.definition], form.config, told, source.tensors),
      onProgress:
        onProgress &&
        (({ tensor, written, total }) => onProgress({ tensor, written: (notes[CONVERSION_NOTE] ? total : 0) + written, total: 2 * total })),
    })
  await write(trial, {}, (_, values, written) => meter.add(values, written))
  const rounding: Rounding = { relative: meter.relative, largest: meter.largest }
  const written = await target.opened()
  let record: ConversionRecord
  try {
    record = { ...(await recordOf(model, source, form, storedMost(written), options)), rounding }
    record = { ...record, ...(await target.about?.(record, form.model.definition, written)) }
  } finally {
    await written.close()
  }
  await write(out, { [CONVERSION_NOTE]: JSON.stringify(record) })
  return record
}

/** Each tensor as the source has it; one that the source lacks as most of its matrices are. */
function storedAs({ tensors }: Checkpoint): (tensor: TensorSource) => GgufType {
  const most = storedMost({ tensors: new Map([...tensors].filter(([, t]) => t.shape.length > 1)) })
  return ({ name }) => ggufType(tensors.get(name)) ?? GGUF_TYPES.find(t => t === most) ?? 'f16'
}

function ggufType(entry: TensorEntry | undefined): GgufType | undefined {
  if (!entry) return undefined
  const { dtype } = entry
  // What no kernel reads is held in a type that one does.
  const held = typeof dtype === 'object' && 'loadsAs' in dtype ? (dtype.loadsAs as Storage) : (dtype as Storage)
  return GGUF_TYPES.find(t => t === storageName(held))
}
