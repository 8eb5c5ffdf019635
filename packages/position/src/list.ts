/** A kind of position value and what its tests compare it with. */
export interface PositionAbout {
  readonly name: string
  readonly title: string
  readonly paper?: string
  readonly oracle?: string
}

const rope = (scaling: string, title: string, paper?: string): PositionAbout => ({
  name: `rope/${scaling}`,
  title,
  paper,
  oracle: 'transformers: inverse frequencies of its rope types',
})

/** Positions a layer may use. */
export const positions: readonly PositionAbout[] = [
  { name: 'none', title: 'No positions', oracle: 'transformers: models without positions' },
  rope('default', 'Rotary positions', 'https://arxiv.org/abs/2104.09864'),
  rope('linear', 'Rotary positions, interpolated', 'https://arxiv.org/abs/2306.15595'),
  rope('dynamic', 'Rotary positions, base by length'),
  rope('yarn', 'Rotary positions, YaRN', 'https://arxiv.org/abs/2309.00071'),
  rope('llama3', 'Rotary positions, Llama 3'),
  rope('longrope', 'Rotary positions, LongRoPE', 'https://arxiv.org/abs/2402.13753'),
  { name: 't5', title: 'Relative position buckets', paper: 'https://arxiv.org/abs/1910.10683', oracle: 'transformers: T5Attention' },
  { name: 'alibi', title: 'Linear biases', paper: 'https://arxiv.org/abs/2108.12409', oracle: 'transformers: slopes of BLOOM' },
  { name: 'learned', title: 'Learned table, also on a grid', oracle: 'transformers: ViT, with PyTorch’s bicubic resampling' },
]
