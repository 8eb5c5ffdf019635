import { AttuneError } from '@attune/expr'
import { call1, type Op, showShape, type Tensor } from '@attune/tensor'

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
    if (x.shape.length !== 3 || positions.shape.length !== 1 || (frequencies.shape[0] as number) * 2 > (x.shape[2] as number))
      throw new AttuneError(
        'ERR_SHAPE',
        `rope of x ${showShape(x.shape)} with positions ${showShape(positions.shape)} and frequencies ${showShape(frequencies.shape)}`,
        {},
      )
    return [{ dtype: 'f32', shape: x.shape }]
  },
}
export const ropeOf = (x: Tensor, positions: Tensor, frequencies: Tensor, attrs: Partial<RopeAttrs> = {}): Tensor =>
  call1(rope, [x, positions, frequencies], { pairing: 'half', factor: 1, ...attrs })
