export { type BlockLists, type PickOptions, pickBlocks, pooledProducts } from './block-lists.ts'
export { type MobaConfig, moba } from './moba.ts'
export { type NsaConfig, nsa } from './nsa.ts'
export { pageBounds, type QuestConfig, quest } from './quest.ts'
