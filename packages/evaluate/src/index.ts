export { type Cost, cost, keptBytes, type LayerCost } from './cost.ts'
export { type Perplexity, type PerplexityOptions, perplexity } from './perplexity.ts'
export { logSumExp, tokenLoss } from './token-loss.ts'
export { type TwinReport, twin } from './twin.ts'
