export { type ElConfig, el } from './el.ts'
export { type MlaConfig, mla } from './mla.ts'
