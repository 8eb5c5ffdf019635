export { activation, activations } from './activation.ts'
export { bindParams, tensorOf } from './bind.ts'
export { type GatedMlpConfig, gatedMlp, gatedMlpParams } from './mlp.ts'
export * from './params.ts'
