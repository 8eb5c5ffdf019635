import { AttuneError } from '@attune/tensor'
import { isObject } from './json.ts'

type Config = Readonly<Record<string, unknown>>

/** Refuses a folder that holds only what is added to another model. Errors: `ERR_UNSUPPORTED`. */
export function refuseAdapter(folder: string, files: readonly string[]): void {
  if (!files.includes('adapter_config.json') || files.some(n => n === 'model.safetensors' || n === 'model.safetensors.index.json')) return
  throw new AttuneError(
    'ERR_UNSUPPORTED',
    `${folder} is an adapter (adapter_config.json), not a model; merge it into its base model first (merge_and_unload in peft) and save that`,
    { folder, file: 'adapter_config.json' },
  )
}

/** Refuses a config whose weights are packed, or whose language model is a part of something larger, and says what to do. Errors: `ERR_UNSUPPORTED`. */
export function refuseConfig(folder: string, config: Config): void {
  const packed = config.quantization_config
  if (packed !== undefined && packed !== null) {
    const method = isObject(packed) ? packed.quant_method : undefined
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${folder}: config.json: the weights are packed (quantization_config${typeof method === 'string' ? ` '${method}'` : ''}), which attune does not read; take the model before it was quantised, or a GGUF of it`,
      { file: 'config.json', key: 'quantization_config', method },
    )
  }
  const part = ['text_config', 'llm_config', 'thinker_config'].find(key => isObject(config[key]))
  if (part === undefined) return
  const others = Object.keys(config).filter(key => key !== part && key.endsWith('_config') && isObject(config[key]))
  throw new AttuneError(
    'ERR_UNSUPPORTED',
    `${folder}: config.json: '${String(config.model_type)}' is several models in one (${[part, ...others].join(', ')}), which attune does not read; save its language model alone`,
    { file: 'config.json', key: part, type: config.model_type },
  )
}
