import { task } from './commands.mjs'

/** Every structural check by name, cheapest first. @type {Record<string, () => Promise<import('./run.mjs').Check>>} */
export const checks = {
  ladder: () => import('./ladder.mjs'),
  structure: () => import('./structure.mjs'),
  exports: () => import('./exports.mjs'),
  size: () => import('./size.mjs'),
  lint: async () => task('format and lint are clean', '//#biome'),
  types: async () => task('types are right', '//#tsc'),
  docs: async () => task('the API site builds without a warning', '//#typedoc'),
  packages: () => import('./packages.mjs'),
  outside: () => import('./outside.mjs'),
}
