import type { Dense } from '@attune/tensor'
import type { ScanAttrs, ScanOperands } from './scan.ts'

/** The step form: token after token in float64, rounded once per output. */
export function loopsScan(
  { q, k, v, initial, offsets, decay, beta }: ScanOperands<Dense>,
  { rule, scale, queryHeads, stateHeads, keyHeads, valueHeads }: ScanAttrs,
  outShape: readonly number[],
  [rows, states, dk, dv]: readonly number[],
): Float32Array[] {
  const [n, heads] = outShape
  const out = new Float32Array(n * heads * dv)
  const last = Float32Array.from(initial.data)
  const at = (t: Dense, token: number, head: number) => (token * t.shape[1] + head) * (t.shape[2] ?? 1)
  for (let b = 0; b < rows; b++)
    for (let p = 0; p < states; p++) {
      const place = (b * states + p) * dk * dv
      const s = Float64Array.from(initial.data.subarray(place, place + dk * dv))
      const readers = stateHeads.flatMap((state, h) => (state === p ? [h] : []))
      for (let t = offsets.data[b]; t < offsets.data[b + 1]; t++) {
        const key = k.data.subarray(at(k, t, keyHeads[p]))
        const value = v.data.subarray(at(v, t, valueHeads[p]))
        const step = beta ? beta.data[at(beta, t, p)] : 1
        if (decay) {
          const from = at(decay, t, p)
          for (let i = 0; i < dk; i++) {
            const kept = Math.exp(decay.data[decay.shape.length === 3 ? from + i : from])
            for (let j = 0; j < dv; j++) s[i * dv + j] *= kept
          }
        }
        for (let j = 0; j < dv; j++) {
          let u: number = value[j]
          if (rule === 'delta') {
            for (let i = 0; i < dk; i++) u -= key[i] * s[i * dv + j]
            u *= step
          }
          for (let i = 0; i < dk; i++) s[i * dv + j] += key[i] * u
        }
        for (const h of readers) {
          const query = q.data.subarray(at(q, t, queryHeads[h]))
          for (let j = 0; j < dv; j++) {
            let y = 0
            for (let i = 0; i < dk; i++) y += query[i] * s[i * dv + j]
            out[(t * heads + h) * dv + j] = scale * y
          }
        }
      }
      last.set(s, place)
    }
  return [out, last]
}
