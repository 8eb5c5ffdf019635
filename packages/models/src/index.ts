export { ConfigReader } from './config-reader.ts'
export {
  type DecoderResult,
  type DecoderStep,
  decoder,
  decoderLayer,
  decoderParams,
  type LayerResult,
  layerParams,
  type Variants,
  variantOf,
} from './decoder.ts'
export { deepseekV2 } from './deepseek_v2.ts'
export { deepseekV3 } from './deepseek_v3.ts'
export type { ModelDefinition } from './definition.ts'
export { gptOss } from './gpt_oss.ts'
export { llama } from './llama.ts'
export { mamba2 } from './mamba2.ts'
export { minimax } from './minimax.ts'
export { type Model, modelFrom, releaseWeights, uploadWeights } from './model.ts'
export { filesFromValues, type LoadOptions, valuesFromFiles } from './model-files.ts'
export { allLogits, hiddenStates, lastLogits, noOutput } from './probes.ts'
export { qwen3Next } from './qwen3_next.ts'
export { Runner, type RunnerOptions, type Sequence, type StepOptions, type StepWork } from './runner.ts'
export { type DecoderSpec, type LayerSpec, type ResidualSpec, swap } from './spec.ts'
export { layerStates, type Probe, type StepIo, stepGraph } from './step-graph.ts'
