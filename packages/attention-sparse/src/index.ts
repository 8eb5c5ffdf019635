export { type MobaConfig, moba } from './moba.ts'
export { type QuestConfig, quest } from './quest.ts'
