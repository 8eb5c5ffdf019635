export { mlaBridges } from './bridges.ts'
export { type ElConfig, el } from './el.ts'
export { type MlaConfig, mla } from './mla.ts'
export { latentOf, type MlaShape, plainMla } from './mla-config.ts'
