import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AttuneError } from '@attune/tensor'

/** What is used of transformers.js. */
interface TransformersJs {
  readonly env: { version: string; allowLocalModels: boolean; allowRemoteModels: boolean; localModelPath: string; remoteHost: string }
  readonly AutoModelForCausalLM: { from_pretrained(ref: string, options: object): Promise<CausalModel> }
  readonly Tensor: new (type: string, data: BigInt64Array, dims: number[]) => OnnxTensor
}
interface OnnxTensor {
  readonly data: ArrayLike<number> | ArrayLike<bigint>
  readonly dims: readonly number[]
}
interface CausalModel {
  (inputs: Record<string, OnnxTensor>): Promise<{ logits: OnnxTensor }>
  generate(options: Record<string, unknown>): Promise<OnnxTensor>
  dispose(): Promise<unknown>
}

/** A model that transformers.js runs from an ONNX export. */
export interface OnnxModel {
  readonly name: string
  readonly version: string
  /** Logits (tokens, vocab) of a text. */
  logits(ids: readonly number[]): Promise<{ data: ArrayLike<number>; vocab: number }>
  /** The tokens that follow, each the best one; `count` of them, end tokens included. */
  continue(ids: readonly number[], count: number): Promise<number[]>
  close(): Promise<void>
}

/** Element types by which transformers.js names a folder's files. */
export const ONNX_TYPES = ['fp32', 'fp16', 'q8', 'int8', 'uint8', 'q4', 'q4f16', 'bnb4']

/**
 * Opens an ONNX export on the CPU. `ref` is a folder (config.json, onnx/model.onnx; nothing is fetched) or a Hub id.
 * Errors: `ERR_UNSUPPORTED` without the package, `ERR_NOT_FOUND` without an export.
 */
export async function openOnnx(ref: string, { dtype = 'fp32', peer }: { dtype?: string; peer?: string } = {}): Promise<OnnxModel> {
  const { env, AutoModelForCausalLM, Tensor } = await transformersJs(peer)
  const folder = (await exists(ref)) ? resolve(ref) : undefined
  if (folder && !(await exists(join(folder, 'onnx'))))
    throw new AttuneError('ERR_NOT_FOUND', `${ref} has no folder onnx with an export of the model; name one with --onnx`, { folder })
  const model = await restoring(env, async () => {
    if (folder) Object.assign(env, { allowLocalModels: true, allowRemoteModels: false, localModelPath: `${dirname(folder)}/` })
    else if (process.env.HF_ENDPOINT) env.remoteHost = `${process.env.HF_ENDPOINT.replace(/\/$/, '')}/`
    if (process.env.HF_HUB_OFFLINE === '1') env.allowRemoteModels = false
    return AutoModelForCausalLM.from_pretrained(folder ? basename(folder) : ref, { dtype, device: 'cpu' })
  }).catch(cause => {
    throw new AttuneError('ERR_NOT_FOUND', `transformers.js cannot open ${ref}: ${(cause as Error).message}`, { model: ref, dtype }, cause)
  })
  const inputs = (ids: readonly number[]) => {
    const tensor = (values: readonly number[]) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
    return { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) }
  }
  return {
    name: ref,
    version: env.version,
    async logits(ids) {
      const { data, dims } = (await model(inputs(ids))).logits
      return { data: data as ArrayLike<number>, vocab: dims[2] }
    },
    async continue(ids, count) {
      const greedy = { max_new_tokens: count, do_sample: false, eos_token_id: null, repetition_penalty: 1 }
      const { data } = await model.generate({ ...inputs(ids), ...greedy })
      return Array.from(data as ArrayLike<bigint>, Number).slice(ids.length)
    },
    close: async () => void (await model.dispose()),
  }
}

/** The optional peer, from beside this package or from the user's project. */
async function transformersJs(peer = '@huggingface/transformers'): Promise<TransformersJs> {
  try {
    return await import(/* @vite-ignore */ peer).catch(() => {
      const path = createRequire(join(process.cwd(), 'package.json')).resolve(peer)
      return import(/* @vite-ignore */ pathToFileURL(path).href)
    })
  } catch (cause) {
    const message = `comparing with transformers.js needs the package '${peer}': npm install ${peer}`
    throw new AttuneError('ERR_UNSUPPORTED', message, { package: peer }, cause)
  }
}

/** Its settings are global: they are as before when this is over. */
async function restoring<T>(env: TransformersJs['env'], use: () => Promise<T>): Promise<T> {
  const { allowLocalModels, allowRemoteModels, localModelPath, remoteHost } = env
  try {
    return await use()
  } finally {
    Object.assign(env, { allowLocalModels, allowRemoteModels, localModelPath, remoteHost })
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
