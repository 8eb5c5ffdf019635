import { copyOf } from '@attune/tensor'
import type { Probe } from './step-graph.ts'

/** Logits of each batch row's last token: output `logits` (B, vocab). */
export const lastLogits: Probe = { key: 'last', build: (d, io) => ({ outputs: { logits: d.logits(io.last) } }) }
/** Logits of every token: output `logits` (N, vocab). */
export const allLogits: Probe = { key: 'all', build: d => ({ outputs: { logits: d.logits() } }) }
/** Nothing but the caches. */
export const noOutput: Probe = { key: 'none', build: () => ({ outputs: {} }) }
/** Logits of every token and the residual stream as transformers gives it: `hidden.0` embeddings, `hidden.i` after layer i, the last after the final norm. */
export const hiddenStates: Probe = {
  key: 'hidden',
  build: d => ({ outputs: { logits: d.logits(), ...Object.fromEntries(d.hidden.map((t, i) => [`hidden.${i}`, copyOf(t)])) } }),
}
