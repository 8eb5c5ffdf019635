export { type BlockLists, type PickOptions, pickBlocks, pooledProducts } from './block-lists.ts'
export { type MobaConfig, moba } from './moba.ts'
export { type QuestConfig, quest } from './quest.ts'
