import { AttuneError } from '@attune/tensor'

/** Sizes and settings of latent attention, in numbers per head unless said. */
export interface MlaConfig {
  readonly dim: number
  readonly heads: number
  /** Numbers of a head's query and key that no position turns, and of the one key that positions turn and all heads share. */
  readonly nopeDim: number
  readonly ropeDim: number
  readonly valueDim: number
  /** Numbers remembered of keys and values together. */
  readonly latent: number
  /** Width of the vector that queries are made from; from the layer's input itself by default. */
  readonly queryLatent?: number
  /** Of the norms of latents; 1e-6 by default, as in DeepSeek's models. */
  readonly eps?: number
  /** Norms on the latents; on by default. */
  readonly latentNorm?: boolean
  /** Biases of what makes the latents, of what makes queries last, of the output. */
  readonly bias?: boolean
  readonly queryBias?: boolean
  readonly outBias?: boolean
  /** Multiplies scores; (nopeDim + ropeDim)^−½ by default. YaRN's mscale² belongs here. */
  readonly scale?: number
  /**
   * absorbed: queries go into the latent space; materialised: past keys and values are made from the latents. Same numbers, same cache.
   * auto: what takes fewer products in a step of so many tokens, so prompts are materialised where heads are narrower than the latent.
   */
  readonly mode?: 'absorbed' | 'materialised' | 'auto'
}

/** A config with its defaults. */
export type MlaShape = Required<Omit<MlaConfig, 'queryLatent'>> & Pick<MlaConfig, 'queryLatent'>

/** Errors: `ERR_ARGUMENT` for numbers that no layer can have. */
export function mlaShape(config: MlaConfig): MlaShape {
  const { dim, heads, nopeDim, ropeDim, valueDim, latent, queryLatent } = config
  const counts = { dim, heads, valueDim, latent, ...(queryLatent === undefined ? {} : { queryLatent }) }
  for (const [key, n] of Object.entries({ ...counts, nopeDim: nopeDim + 1, ropeDim: ropeDim + 1 }))
    if (!(Number.isInteger(n) && n > 0))
      throw new AttuneError('ERR_ARGUMENT', `mla: ${key} ${(config as unknown as Record<string, unknown>)[key]} is not a count`, {
        ...config,
      })
  if (nopeDim + ropeDim === 0) throw new AttuneError('ERR_ARGUMENT', 'mla: keys have no numbers: nopeDim and ropeDim are 0', { ...config })
  const { eps = 1e-6, latentNorm = true, bias = false, queryBias = false, outBias = false, mode = 'absorbed' } = config
  const scale = config.scale ?? (nopeDim + ropeDim) ** -0.5
  return {
    dim,
    heads,
    nopeDim,
    ropeDim,
    valueDim,
    latent,
    queryLatent,
    eps,
    latentNorm,
    bias,
    queryBias,
    outBias,
    mode,
    scale,
  }
}

/** The sizes of a layer of latent attention; undefined for other variants. */
export const latentOf = (variant: string, config: unknown): MlaShape | undefined =>
  variant === 'mla' ? mlaShape(config as MlaConfig) : undefined

/** A config without what says the defaults, and without the way of computing: what a model's files tell. */
export function plainMla(config: any): Record<string, unknown> {
  const { mode: _, ...rest } = config as MlaConfig
  const usual = { eps: 1e-6, latentNorm: true, bias: false, queryBias: false, outBias: false }
  return Object.fromEntries(Object.entries(rest).filter(([k, v]) => v !== undefined && v !== usual[k as keyof typeof usual]))
}
