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
export { fileNames, type ModelDefinition } from './definition.ts'
export { llama } from './llama.ts'
export { type LoadOptions, type Model, modelFrom, releaseWeights, uploadWeights } from './model.ts'
export { allLogits, hiddenStates, lastLogits, noOutput } from './probes.ts'
export { Runner, type RunnerOptions, type Sequence, type StepOptions, type StepWork } from './runner.ts'
export { type DecoderSpec, type LayerSpec, swap } from './spec.ts'
export { type Probe, type StepIo, stateSpecs, stepGraph } from './step-graph.ts'
