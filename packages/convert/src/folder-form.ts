import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { asDeepseek } from './as-deepseek.ts'
import { uniform } from './uniform.ts'

/** A model in a form that a Hugging Face folder holds, and the folder's config. */
export interface FolderForm {
  readonly model: Model
  readonly config: Readonly<Record<string, unknown>>
  /** Key-value heads of every layer, where layers have such. */
  readonly kvHeads?: number
}

/** The first form that fits: the source's type with one number of key-value heads, or DeepSeek's. Errors: `ERR_UNSUPPORTED` with every reason. */
export async function folderForm(model: Model, source: Readonly<Record<string, unknown>>): Promise<FolderForm> {
  const deepseek = asDeepseek(model, source)
  if (typeof deepseek !== 'string') return checked(deepseek)
  try {
    const wide = await uniform(model)
    return checked({ ...wide, config: { ...source, num_key_value_heads: wide.kvHeads } })
  } catch (error) {
    if (!(error instanceof AttuneError) || error.code !== 'ERR_UNSUPPORTED') throw error
    throw new AttuneError('ERR_UNSUPPORTED', `${error.message}; as a DeepSeek folder: ${deepseek}`, error.data, error)
  }
}

/** Reads the config back to be sure that it says what the model is. */
function checked(form: FolderForm): FolderForm {
  const { definition, spec } = form.model
  const { type: _, ...own } = spec
  const { type: __, ...read } = definition.spec(form.config)
  const [said, is] = [read, own].map(x => JSON.stringify(sorted(x)))
  if (said === is) return form
  throw new AttuneError('ERR_UNSUPPORTED', `a folder of type '${definition.type}' cannot say what this model's layers are`, { said, is })
}

function sorted(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(sorted)
  if (typeof x !== 'object' || x === null) return x
  return Object.fromEntries(
    Object.entries(x)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  )
}
