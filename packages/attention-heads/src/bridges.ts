import type { Bridge } from '@attune/attention'

export const headBridges: readonly Bridge[] = []
