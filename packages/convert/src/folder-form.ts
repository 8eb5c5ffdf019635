import { headsOf } from '@attune/attention-heads'
import { type DecoderSpec, type Model, specOf, type TensorNames } from '@attune/models'
import { underPrefix, withPrefix } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { asDeepseek } from './as-deepseek.ts'
import { withForms } from './convert.ts'
import { dryRun } from './dry-run.ts'
import type { Plan } from './plan.ts'
import { hollowParams } from './route.ts'
import { sameData, sorted } from './same-data.ts'
import { uniform } from './uniform.ts'
import type { LayerForm } from './walk.ts'

/** A model in a form that a Hugging Face folder holds, and the folder's config. */
export interface FolderForm {
  readonly model: Model
  readonly config: Readonly<Record<string, unknown>>
  /** Key-value heads of every layer, where layers have such. */
  readonly kvHeads?: number
}

/** What a model type does not know was refused, or told, when the model was loaded. */
export const settled = (): void => {}

type Source = Pick<Checkpoint, 'config' | 'tensors'>

/**
 * The first form that fits: the source's type as it was, with one number of key-value heads, or DeepSeek's.
 * Errors: `ERR_UNSUPPORTED` with every reason.
 */
export async function folderForm(model: Model, { config, tensors }: Source): Promise<FolderForm> {
  const said = specOf(model.definition, { config, tensors }, settled)
  if (sameData(said, model.spec)) return { model, config }
  const deepseek = asDeepseek(model, config)
  if (typeof deepseek !== 'string') return checked(deepseek)
  const refusals: AttuneError[] = []
  // As few as will do, where the type can say how many; else as many as the source has, or as there are queries.
  const known = kvHeadsOf(said)
  const heads = model.spec.layers.flatMap(({ attention: { variant, config } }) => headsOf(variant, config)?.heads ?? [])
  const attempt = async <T>(run: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof AttuneError) || !['ERR_UNSUPPORTED', 'ERR_FORMAT'].includes(error.code)) throw error
      refusals.push(error)
      return undefined
    }
  }
  for (const count of new Set([undefined, known, heads[0]])) {
    const wide = await attempt(() => uniform(model, said, count))
    if (!wide) continue
    const number = wide.kvHeads === undefined || wide.kvHeads === known ? {} : numberOf(model, wide.kvHeads, config)
    const form = await attempt(async () => checked({ ...wide, config: { ...config, ...number } }, tensors))
    if (form) return form
  }
  const [error] = refusals
  throw new AttuneError('ERR_UNSUPPORTED', `${error.message}; as a DeepSeek folder: ${deepseek}`, error.data, error)
}

/** How a type's config says the number of key-value heads. */
const numberOf = ({ definition }: Model, count: number, config: Source['config']): Readonly<Record<string, unknown>> =>
  definition.kvHeads?.(count, config) ?? { num_key_value_heads: count }

/**
 * Refuses a plan whose result no folder could hold, before anything is converted; shapes are enough where layers become heads again.
 * Errors: as `folderForm`.
 */
export async function checkForm(model: Model, plan: Plan, source: Source): Promise<void> {
  const forms = new Map<number, LayerForm>()
  for (const { layer: index, to, config } of dryRun(model, plan).layers) {
    if (!headsOf(to, config)) return // what it needs beside the weights is known only once they are made
    const layer = model.spec.layers[index]
    const others = [...underPrefix(model.values, `layers.${index}`)].filter(([path]) => !path.startsWith('attention.'))
    forms.set(index, {
      layer: { ...layer, attention: { ...layer.attention, variant: to, config } },
      values: new Map([...others, ...withPrefix(hollowParams(model.variants, to, config), 'attention')]),
    })
  }
  await folderForm(withForms(model, forms), source)
}

/** Key-value heads of a Spec's layers that have such, if they are as many everywhere. */
function kvHeadsOf({ layers }: DecoderSpec): number | undefined {
  const counts = new Set(layers.flatMap(({ attention: { variant, config } }) => headsOf(variant, config)?.kvHeads ?? []))
  return counts.size === 1 ? [...counts][0] : undefined
}

/** Reads the config back to be sure that it says what the model is. */
function checked(form: FolderForm, tensors?: TensorNames): FolderForm {
  const { definition, spec } = form.model
  const { type: _, ...own } = spec
  const { type: __, ...read } = specOf(definition, { config: form.config, tensors }, settled)
  const [said, is] = [read, own].map(x => JSON.stringify(sorted(x)))
  if (said === is) return form
  throw new AttuneError('ERR_UNSUPPORTED', `a folder of type '${definition.type}' cannot say what this model's layers are`, { said, is })
}
