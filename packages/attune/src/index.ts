import { cla, cross, gqa, mha, mqa } from '@attune/attention-heads'
import { el, mla } from '@attune/attention-latent'
import { deltanet, gatedDeltanet, gla, lightning, linear, lolcats, mamba2 } from '@attune/attention-linear'
import { castle, mta, path, talkingHeads } from '@attune/attention-mixing'
import { moba, nsa, quest } from '@attune/attention-sparse'
import { type CpuOptions, cpu } from '@attune/backend-cpu'
import { type CacheManager, contiguous, type EvictionPolicy, paged, quantised, ring, think, turned } from '@attune/cache'
import {
  adaKv,
  duoAttention,
  h2o,
  headKv,
  keyDiff,
  knorm,
  kvZip,
  observedAttention,
  pyramidKv,
  randomRows,
  snapKv,
  streamingLlm,
  tova,
} from '@attune/cache/policies'
import { applyConversion } from '@attune/convert'
import { createKit, type Kit, type KitOptions } from '@attune/kit'
import {
  bert,
  bloom,
  cohere,
  cohere2,
  deepseekV2,
  deepseekV3,
  distilbert,
  falcon,
  gemma,
  gemma2,
  gemma3Text,
  glm,
  glm4,
  gpt2,
  gptBigcode,
  gptj,
  gptNeo,
  gptNeox,
  gptOss,
  granite,
  llama,
  mamba2 as mamba2Model,
  minimax,
  mistral,
  mixtral,
  modernbert,
  mpt,
  olmo,
  olmo2,
  olmo3,
  opt,
  phi,
  phi3,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  qwen3Next,
  roberta,
  smollm3,
  stablelm,
  starcoder2,
  t5,
  vit,
  xlmRoberta,
} from '@attune/models'

/** Every attention variant that comes with attune. */
export const attention: KitOptions['attention'] = [
  mha,
  gqa,
  mqa,
  cla,
  cross,
  mla,
  el,
  linear,
  lightning,
  gla,
  deltanet,
  gatedDeltanet,
  mamba2,
  lolcats,
  moba,
  quest,
  nsa,
  path,
  castle,
  talkingHeads,
  mta,
]
/** Every way to keep the past that comes with attune, at its defaults. */
export const caches: readonly CacheManager[] = [
  contiguous(),
  ring(),
  paged(),
  turned(paged()),
  quantised({ bits: 8 }),
  quantised(),
  think(),
]
/** Every way to drop rows of a prompt that comes with attune, at its defaults. */
export const policies: readonly EvictionPolicy[] = [
  ...[snapKv(), h2o(), observedAttention(), tova(), knorm(), keyDiff(), adaKv(), headKv(), pyramidKv(), duoAttention()],
  ...[kvZip(), streamingLlm(), randomRows()],
]
/** Every model type that comes with attune. */
export const models: KitOptions['models'] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  mixtral,
  phi,
  phi3,
  gemma,
  gemma3Text,
  smollm3,
  granite,
  olmo,
  olmo2,
  olmo3,
  cohere,
  stablelm,
  starcoder2,
  qwen2Moe,
  qwen3Moe,
  cohere2,
  glm,
  glm4,
  gemma2,
  bloom,
  gpt2,
  gptj,
  gptNeo,
  gptBigcode,
  falcon,
  mpt,
  opt,
  gptNeox,
  gptOss,
  deepseekV2,
  deepseekV3,
  qwen3Next,
  mamba2Model,
  minimax,
  t5,
  bert,
  roberta,
  xlmRoberta,
  distilbert,
  modernbert,
  vit,
]

export interface AttuneOptions extends Partial<KitOptions> {
  readonly cpu?: CpuOptions
}

/** A kit with everything built in, on the CPU unless `devices` says otherwise. */
export async function createAttune({ cpu: options, ...parts }: AttuneOptions = {}): Promise<Kit> {
  return createKit({ devices: [await cpu(options)], attention, models, restore: applyConversion, ...parts })
}

export { type CpuOptions, cpu } from '@attune/backend-cpu'
export * from '@attune/convert'
export * from '@attune/kit'
export { positions } from '@attune/position'
