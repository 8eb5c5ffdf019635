/** Every structural check by name, cheapest first. @type {Record<string, () => Promise<import('./run.mjs').Check>>} */
export const checks = {
  ladder: () => import('./ladder.mjs'),
  structure: () => import('./structure.mjs'),
}
