/** What lists and pages say of a variant, a cache, a policy or a bridge. */
export interface About {
  readonly title: string
  /** Address of the paper. */
  readonly paper?: string
  readonly family?: string
  /** What its tests compare it with that nobody here wrote: a library and its part, or a paper's formulas in float64. Without one it is listed as unproven. */
  readonly oracle?: string
}
