export { type GqaConfig, gqa } from './gqa.ts'
export { type MhaConfig, mha } from './mha.ts'
export { type MqaConfig, mqa } from './mqa.ts'
