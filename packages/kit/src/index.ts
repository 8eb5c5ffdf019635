export { createKit, Kit, type KitOptions, type LoadModelOptions, type OpenOptions } from './kit.ts'
export { LoadedModel } from './loaded-model.ts'
