export { bert } from './bert.ts'
export { ConfigReader } from './config-reader.ts'
export { type DecoderResult, type DecoderStep, decoder, decoderInput, decoderParams } from './decoder.ts'
export { deepseekV2 } from './deepseek_v2.ts'
export { deepseekV3 } from './deepseek_v3.ts'
export type { Definition, EncoderDefinition, ModelDefinition, TensorNames } from './definition.ts'
export { distilbert } from './distilbert.ts'
export type { EmbedSpec } from './embed.ts'
export { type EncoderModel, type EncoderResult, encoder, encoderOf, encoderParams } from './encoder.ts'
export type { EncoderHeadSpec, HeadMapSpec } from './encoder-head.ts'
export type { EncoderItem, Image } from './encoder-input.ts'
export { Encoder, type EncoderProbe, encoderStates, finalStates, headOutput, rowsOf } from './encoder-runner.ts'
export type { EncoderInputSpec, EncoderSpec } from './encoder-spec.ts'
export { gemma2 } from './gemma2.ts'
export { gptNeox } from './gpt_neox.ts'
export { gptOss } from './gpt_oss.ts'
export { decoderLayer, type LayerResult, layerParams, type StreamSpec, type Variants, variantOf } from './layers.ts'
export { llama } from './llama.ts'
export { mamba2 } from './mamba2.ts'
export { minimax } from './minimax.ts'
export { assertRoom, encoderFrom, type Model, modelFrom, releaseWeights, uploadWeights } from './model.ts'
export { filesFromValues, type LoadOptions, valuesFromFiles } from './model-files.ts'
export { modernbert } from './modernbert.ts'
export { allLogits, hiddenStates, lastLogits, noOutput } from './probes.ts'
export { qwen3Next } from './qwen3_next.ts'
export { roberta, xlmRoberta } from './roberta.ts'
export { Runner, type RunnerOptions, type Sequence, type StepOptions, type StepWork } from './runner.ts'
export { type BlockSpec, type DecoderSpec, type LayerSpec, type NormPlace, type ResidualSpec, swap } from './spec.ts'
export { layerStates, type Probe, type StepIo, stepGraph } from './step-graph.ts'
export { t5 } from './t5.ts'
export {
  type EncoderGiven,
  type EncoderReaders,
  encoderItems,
  type RawImage,
  type TransformersBatch,
  type TransformersTensor,
} from './transformers-js.ts'
export { vit } from './vit.ts'
