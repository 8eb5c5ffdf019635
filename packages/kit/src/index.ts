export { createKit, Kit, type KitOptions, type LoadEncoderOptions, type LoadModelOptions, type OpenOptions } from './kit.ts'
export { type EmbedOptions, LoadedEncoder } from './loaded-encoder.ts'
export { LoadedModel } from './loaded-model.ts'
