import type { LayerSpec, Model } from '@attune/models'
import type { ParamValue } from '@attune/nn'
import { AttuneError, Constant, isCodec, type Storage, storageName } from '@attune/tensor'
import type { LayerForm } from './walk.ts'
import type { WorkFolder } from './work-folder.ts'

/** A converted layer as data: what its attention is, and where each weight lies: in the layer's file, or in the source. */
export interface KeptLayer {
  readonly attention: Pick<LayerSpec['attention'], 'variant' | 'config' | 'position'>
  readonly file: string
  readonly sha256?: string
  readonly params: readonly (KeptPart & { readonly path: string; readonly part: 'weight' | 'bias' })[]
}
type KeptPart =
  | { readonly source: string }
  | { readonly dtype: string; readonly shape: readonly number[]; readonly at: number; readonly bytes: number }

/** Writes the weights of a form that are not the source's into one file, a weight at a time. */
export async function keepLayer(work: WorkFolder, model: Model, index: number, form: LayerForm): Promise<KeptLayer> {
  const known = namesOf(model)
  const file = `layer-${String(index).padStart(5, '0')}.bin`
  const out = await work.parts.create(file)
  const params: KeptLayer['params'][number][] = []
  let at = 0
  for (const [path, { weight, bias }] of form.values)
    for (const [part, c] of [['weight', weight] as const, ...(bias ? [['bias', bias] as const] : [])]) {
      const source = known.get(c)
      if (source !== undefined) {
        params.push({ path, part, source })
        continue
      }
      const bytes = await c.bytes()
      await out.write(bytes)
      params.push({ path, part, dtype: storageName(c.dtype), shape: c.shape, at, bytes: bytes.length })
      at += bytes.length
    }
  await out.finish()
  const { variant, config, position } = form.layer.attention
  return { attention: { variant, config, position }, file, sha256: await work.hash(file, 'parts'), params }
}

/** The form that was kept; weights are read from the file when their bytes are asked for. */
export function keptForm(work: WorkFolder, model: Model, index: number, kept: KeptLayer): LayerForm {
  const constants = new Map([...namesOf(model)].map(([c, name]) => [name, c]))
  const storages = new Map([...constants.values()].map(c => [storageName(c.dtype), c.dtype]))
  const values = new Map<string, ParamValue>()
  for (const p of kept.params) {
    const c = 'source' in p ? constants.get(p.source) : fromFile(work, kept.file, p, storages.get(p.dtype))
    if (!c) throw new AttuneError('ERR_FORMAT', `${work.name}: layer ${index} names a weight that the source lacks`, { ...p })
    values.set(p.path, p.part === 'weight' ? { weight: c } : { ...values.get(p.path)!, bias: c })
  }
  const layer = model.spec.layers[index]
  return { layer: { ...layer, attention: { ...layer.attention, ...kept.attention } }, values }
}

function fromFile(
  work: WorkFolder,
  file: string,
  { dtype, shape, at, bytes, path }: { dtype: string; shape: readonly number[]; at: number; bytes: number; path: string },
  known: Storage | undefined,
): Constant {
  const storage = known && isCodec(known) ? known : (dtype as Storage)
  const read = async () => {
    const source = await work.open(file)
    try {
      return await source.read(at, bytes)
    } finally {
      await source.close()
    }
  }
  return new Constant(storage, shape, read, path)
}

function namesOf({ values }: Model): Map<Constant, string> {
  const names = new Map<Constant, string>()
  for (const [path, { weight, bias }] of values) {
    names.set(weight, `${path}.weight`)
    if (bias) names.set(bias, `${path}.bias`)
  }
  return names
}
