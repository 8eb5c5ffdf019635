import { AttuneError, variable } from '@attune/expr'
import { call1, gatherRows, mapWith, type Op, showShape, type Tensor, tensor } from '@attune/tensor'

export interface RopeAttrs {
  /** half: dimension i turns with i+F (Llama, HF); interleaved: 2i with 2i+1 (GPT-J, DeepSeek, GGUF). */
  readonly pairing: 'half' | 'interleaved'
  /** Multiplies cos and sin (YaRN's attention factor); 1 normally. */
  readonly factor: number
}

/**
 * Rotary position embedding: x (N, H, d) f32, positions (N) i32, inverse frequencies (F) f32, 2F ≤ d → (N, H, d); dimensions beyond 2F pass
 * unchanged. Angles are position × frequency in float32, as in transformers. Su et al. 2021, https://arxiv.org/abs/2104.09864
 */
export const rope: Op<RopeAttrs> = {
  name: 'rope',
  infer([x, positions, frequencies]) {
    if (
      x.shape.length !== 3 ||
      positions.shape.length !== 1 ||
      positions.shape[0] !== x.shape[0] ||
      frequencies.shape.length !== 1 ||
      (frequencies.shape[0] as number) * 2 > (x.shape[2] as number)
    )
      throw new AttuneError(
        'ERR_SHAPE',
        `rope of x ${showShape(x.shape)} with positions ${showShape(positions.shape)} and frequencies ${showShape(frequencies.shape)}`,
        { x: showShape(x.shape) },
      )
    return [{ dtype: 'f32', shape: x.shape }]
  },
  compose([x, positions, frequencies], { pairing, factor }) {
    const d = x.shape[2] as number
    const f = frequencies.shape[0] as number
    const along = (pick: (j: number) => number) =>
      tensor(
        Array.from({ length: d }, (_, j) => (j < 2 * f ? pick(j) : -1)),
        [d],
        'i32',
      )
    const half = pairing === 'half'
    const partner = along(half ? j => (j + f) % (2 * f) : j => j ^ 1)
    const turn = along(half ? j => j % f : j => j >> 1)

    const angles = mapWith((p, w) => p.f32().mul(w), [positions.unsqueeze(1), frequencies]) // (N, F), rounded to f32
    const angle = gatherRows(angles.transpose(), turn).transpose().unsqueeze(1) // (N, 1, d)
    const other = gatherRows(x.permute(2, 0, 1), partner).permute(1, 2, 0) // (N, H, d)
    const j = variable('i2', 'i32')
    const first = half ? j.lt(f) : j.mod(2).eq(0)
    return [
      mapWith(
        (a, b, t) => {
          const s = t.sin().mul(factor)
          return j.lt(2 * f).select(a.mul(t.cos().mul(factor)).add(b.mul(first.select(s.neg(), s))), a)
        },
        [x, other, angle],
      ),
    ]
  },
}
export const ropeOf = (x: Tensor, positions: Tensor, frequencies: Tensor, attrs: Partial<RopeAttrs> = {}): Tensor =>
  call1(rope, [x, positions, frequencies], { pairing: 'half', factor: 1, ...attrs })
