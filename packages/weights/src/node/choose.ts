import { AttuneError } from '@attune/tensor'

const BESIDE =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|preprocessor_config|conversion|modules|sentence_bert_config)\.json$|^1_Pooling\/config\.json$|^chat_template\.(jinja|json)$/
const BEST_GGUF = [
  ...['Q8_0', 'Q4_1', 'Q4_0', 'F16', 'BF16', 'F32'], // small and close first, as kernels read them
  ...['Q6_K', 'Q5_K_M', 'Q5_K_S', 'Q5_1', 'Q5_0', 'Q4_K_M', 'Q4_K_S', 'IQ4_NL', 'IQ4_XS', 'Q3_K_L', 'Q3_K_M', 'Q3_K_S', 'Q2_K'],
]

/** The files of a repository that a model needs: safetensors with their JSON files, else one GGUF. Errors: `ERR_UNSUPPORTED`, `ERR_NOT_FOUND`. */
export function chooseFiles<F extends { readonly name: string }>(model: string, files: readonly F[], wanted?: string): F[] {
  const beside = files.filter(f => BESIDE.test(f.name))
  if (wanted !== undefined) {
    const file = files.find(f => f.name === wanted)
    if (!file) throw new AttuneError('ERR_NOT_FOUND', `${model} has no file ${wanted}`, { model, file: wanted })
    return wanted.endsWith('.gguf') ? [file] : [...beside, file]
  }
  const whole = files.filter(f => f.name === 'model.safetensors')
  if (whole.length) return [...beside, ...whole]
  const shards = files.filter(f => /^model-\d+-of-\d+\.safetensors$/.test(f.name) || f.name === 'model.safetensors.index.json')
  if (shards.length) return [...beside, ...shards]
  const ggufs = files.filter(f => f.name.endsWith('.gguf'))
  if (ggufs.length === 1) return ggufs
  for (const type of BEST_GGUF) {
    const fit = ggufs.find(f => new RegExp(`(^|[^A-Za-z0-9])${type}\\.gguf$`, 'i').test(f.name))
    if (fit) return [fit]
  }
  if (ggufs.length)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${model} has only GGUF types attune does not read; name a file to try it: ${ggufs.map(f => f.name).join(', ')}`,
      { model, files: ggufs.map(f => f.name) },
    )
  const names = files.map(f => f.name)
  if (names.includes('adapter_config.json'))
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${model} is an adapter, which attune does not read; merge it into its base model and save that as safetensors`,
      { model, file: 'adapter_config.json' },
    )
  const pickled = names.find(n => /\.(bin|pt|pth|ckpt|h5|msgpack|onnx)$/.test(n))
  if (pickled)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${model} has weights only as ${pickled}, which attune does not read; look for a safetensors version of it`,
      { model, file: pickled },
    )
  throw new AttuneError('ERR_NOT_FOUND', `${model} has no weights attune knows: ${names.slice(0, 20).join(', ') || 'it is empty'}`, {
    model,
    files: names,
  })
}
