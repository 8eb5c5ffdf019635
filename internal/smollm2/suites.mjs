/**
 * Every suite by name. Each gets a report and the way to a loaded model.
 * @type {Record<string, () => Promise<{ check(t: import('./report.mjs').Report, lab: import('./lab.mjs').Lab): Promise<void> }>>}
 */
export const suites = {
  tokenizer: () => import('./checks/tokenizer.mjs'),
  golden: () => import('./checks/golden.mjs'),
  latent: () => import('./checks/latent.mjs'),
  perplexity: () => import('./checks/perplexity.mjs'),
  packed: () => import('./checks/packed.mjs'),
  quantised: () => import('./checks/quantised.mjs'),
  decode: () => import('./checks/decode.mjs'),
  kernels: () => import('./checks/kernels.mjs'),
  bitwise: () => import('./checks/bitwise.mjs'),
  policies: () => import('./checks/policies.mjs'),
  evicted: () => import('./checks/evicted.mjs'),
  pieces: () => import('./checks/pieces.mjs'),
  loop: () => import('./checks/loop.mjs'),
  routing: () => import('./checks/routing.mjs'),
  speed: () => import('./checks/speed.mjs'),
}
