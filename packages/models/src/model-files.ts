import { type ParamTree, type ParamValue, type ParamValues, walkParams, weightShape } from '@attune/nn'
import { AttuneError, Constant, isCodec, type Storage } from '@attune/tensor'
import {
  type Assignment,
  type Checkpoint,
  decode,
  floatPieces,
  floats,
  hollow,
  type Layout,
  loadable,
  loadValues,
  saveValues,
  type TensorEntry,
  value,
} from '@attune/weights'
import type { Unknown } from './unknown.ts'
import { Workspace } from './workspace.ts'

export interface LoadOptions {
  /** `as-stored` keeps packed and half weights as they are in the file, or as near as kernels have it; `f32` decodes them. */
  readonly weights?: 'as-stored' | 'f32'
  /** Told of each config key and tensor that the model type does not know, which then counts for nothing; without it they are an error. */
  readonly onUnknown?: (unknown: Unknown) => void
}

/**
 * Parameters of a tree from a checkpoint's tensors, by a layout. Nothing is read yet. Every tensor is used exactly once or ignorable.
 * Errors: `ERR_FORMAT` for a tensor that is missing or of another shape, `ERR_UNSUPPORTED` for one without a parameter; they name it.
 */
export function valuesFromFiles(
  checkpoint: Checkpoint,
  type: string,
  layout: Layout,
  tree: ParamTree,
  { weights = 'as-stored', onUnknown }: LoadOptions = {},
): Map<string, ParamValue> {
  const shapes = parameterShapes(tree)
  const unknown: string[] = []
  const found = new Map<string, Constant>()
  const workspace = new Workspace()
  for (const a of assigned(checkpoint, layout, shapes, unknown)) {
    const stored = a.files.map(name => checkpoint.tensors.get(name)!)
    const entries = weights === 'f32' ? stored : stored.map(loadable)
    for (const [name, made] of constantsOf(a, entries, shapes, weights, workspace)) found.set(name, made)
  }
  if (onUnknown) for (const name of unknown) onUnknown({ kind: 'tensor', name })
  else if (unknown.length > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${checkpoint.name}: ${unknown.length} tensor${unknown.length > 1 ? 's' : ''} not used by model type '${type}': ${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ', …' : ''}`,
      { file: checkpoint.name, tensors: unknown },
    )
  const values = new Map<string, ParamValue>()
  for (const [path] of walkParams(tree)) values.set(path, { weight: found.get(`${path}.weight`)!, bias: found.get(`${path}.bias`) })
  return values
}

/** Names of a checkpoint's tensors that no parameter of the tree is made of. */
export function idleTensors(checkpoint: Pick<Checkpoint, 'name' | 'tensors'>, layout: Layout, tree: ParamTree): string[] {
  const used = new Set(assigned(checkpoint, layout, parameterShapes(tree), []).flatMap(a => a.files))
  return [...checkpoint.tensors.keys()].filter(name => !used.has(name))
}

/**
 * The tensors that files of a layout hold, by name: what `valuesFromFiles` reads back. Bytes are made when asked for. Where a layout knows
 * several names for a parameter, it is one of those `like` which the files shall be.
 */
export function filesFromValues(layout: Layout, values: ParamValues, like?: { has(tensor: string): boolean }): Map<string, Constant> {
  const params = new Map<string, Constant>()
  for (const [path, { weight, bias }] of values) {
    params.set(`${path}.weight`, weight)
    if (bias) params.set(`${path}.bias`, bias)
  }
  const files = new Map<string, Constant>()
  for (const a of layout.save(params.keys(), like)) {
    const own = a.params.map(name => params.get(name)!)
    if (a.steps.length === 0) {
      files.set(a.files[0], own[0])
      continue
    }
    const made = shared(async () => {
      const bytes = await Promise.all(own.map(c => c.bytes()))
      return saveValues(
        a,
        own.map((c, i) => value(c.dtype, c.shape, () => bytes[i])),
      )
    })
    const told = saveValues(
      a,
      own.map(c => hollow(c.dtype, c.shape)),
    )
    for (const [name, { dtype, shape }] of told)
      files.set(name, new Constant(dtype as Storage, shape, async () => (await made()).get(name)!.bytes, name))
  }
  return files
}

/** Names of a tree's stored parameters (`path.weight`, `path.bias`) with their shapes. */
function parameterShapes(tree: ParamTree): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>()
  for (const [path, p] of walkParams(tree)) {
    shapes.set(`${path}.weight`, weightShape(p))
    if (p.kind === 'linear' && p.bias) shapes.set(`${path}.bias`, [weightShape(p)[0]])
  }
  return shapes
}

function assigned(
  checkpoint: Pick<Checkpoint, 'name' | 'tensors'>,
  layout: Layout,
  shapes: ReadonlyMap<string, unknown>,
  unknown: string[],
): Assignment[] {
  try {
    return layout.load(checkpoint.tensors.keys(), { params: shapes.keys(), unknown: name => unknown.push(name) })
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error
    throw new AttuneError(error.code, `${checkpoint.name}: ${error.message}`, { file: checkpoint.name, ...error.data }, error)
  }
}

function constantsOf(
  a: Assignment,
  entries: readonly TensorEntry[],
  shapes: ReadonlyMap<string, readonly number[]>,
  mode: 'as-stored' | 'f32',
  workspace: Workspace,
): [string, Constant][] {
  const at = { file: entries[0].file, tensor: a.files[0] }
  const whole = entries.find(e => typeof e.dtype === 'string' && !/^(f|bf)\d/.test(e.dtype))
  if (whole)
    throw new AttuneError('ERR_FORMAT', `${whole.file}: tensor '${whole.name}' holds ${String(whole.dtype)}; weights are fractions`, {
      ...at,
      tensor: whole.name,
      field: `${whole.name}.dtype`,
      offset: whole.byteOffset,
      dtype: whole.dtype,
    })
  let told: ReturnType<typeof loadValues>
  try {
    told = loadValues(
      a,
      entries.map(e => hollow(e.dtype, e.shape)),
    )
  } catch (error) {
    throw new AttuneError('ERR_FORMAT', `${at.file}: tensor '${at.tensor}': ${(error as Error).message}`, at, error)
  }
  const read = shared(async () => {
    const bytes = await Promise.all(entries.map(e => e.read()))
    return loadValues(
      a,
      entries.map((e, i) => value(e.dtype, e.shape, () => bytes[i])),
    )
  })
  return [...told].map(([name, { dtype, shape }]) => {
    const want = shapes.get(name)!
    if (shape.length !== want.length || want.some((n, i) => n !== shape[i]))
      throw new AttuneError(
        'ERR_FORMAT',
        `${at.file}: tensor '${at.tensor}' gives ${name} the shape (${shape.join(', ')}), config.json asks for (${want.join(', ')})`,
        { ...at, shape, want },
      )
    const plain = a.steps.length === 0 ? entries[0] : undefined
    const storage = kept(dtype, shape, mode)
    if (!plain) {
      const bytes = async () => {
        const made = (await read()).get(name)!
        return storage ? made.bytes : bytesOfFloats(floatsOf(made))
      }
      const pieces = (signal?: AbortSignal) => workspace.pieces(a, entries, name, !storage, signal)
      return [name, new Constant(storage ?? 'f32', shape, bytes, at.tensor, pieces)]
    }
    if (storage) {
      // Kernels read words; a file that is not laid out for that is copied.
      const place = plain.place && plain.place.offset % 4 === 0 ? plain.place : undefined
      return [
        name,
        new Constant(
          storage,
          shape,
          () => plain.read(),
          at.tensor,
          signal => plain.pieces(signal),
          place,
        ),
      ]
    }
    const decoded = async () => bytesOfFloats(await floats(plain))
    return [name, new Constant('f32', shape, decoded, at.tensor, signal => decodedPieces(plain, signal))]
  })
}

/** The type a weight stays in; undefined where it is decoded to f32. Vectors are: every kernel reads them as f32, and they are small. */
function kept(dtype: TensorEntry['dtype'], shape: readonly number[], mode: 'as-stored' | 'f32'): Storage | undefined {
  if (dtype === 'f32') return dtype
  const known = isCodec(dtype as Storage) || dtype === 'f16' || dtype === 'bf16'
  return known && mode === 'as-stored' && shape.length > 1 ? (dtype as Storage) : undefined
}

function floatsOf({ dtype, shape, bytes }: { dtype: TensorEntry['dtype']; shape: readonly number[]; bytes: Uint8Array }): Float32Array {
  const out = new Float32Array(shape.reduce((n, d) => n * d, 1))
  decode(dtype, bytes, out)
  return out
}
const bytesOfFloats = (f: Float32Array): Uint8Array => new Uint8Array(f.buffer, f.byteOffset, f.byteLength)

async function* decodedPieces(entry: TensorEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const values of floatPieces(entry, { signal })) yield bytesOfFloats(values)
}

/** Runs once for those who ask while the result is still in memory: the parts of one tensor are usually read one after the other. */
function shared<T extends object>(make: () => Promise<T>): () => Promise<T> {
  let last: WeakRef<T> | undefined
  let running: Promise<T> | undefined
  return () => {
    const held = last?.deref()
    if (held) return Promise.resolve(held)
    running ??= make()
      .then(made => {
        last = new WeakRef(made)
        return made
      })
      .finally(() => {
        running = undefined
      })
    return running
  }
}
