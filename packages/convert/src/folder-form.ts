import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { asDeepseek } from './as-deepseek.ts'
import { sameData, sorted } from './same-data.ts'
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
  const said = model.definition.spec(source)
  const deepseek = sameData(said, model.spec) ? 'it is the source as it was' : asDeepseek(model, source)
  if (typeof deepseek !== 'string') return checked(deepseek)
  try {
    const wide = await uniform(model, said)
    return checked({ ...wide, config: wide.kvHeads === undefined ? source : { ...source, num_key_value_heads: wide.kvHeads } })
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
