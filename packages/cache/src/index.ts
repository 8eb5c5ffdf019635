export { BatchBuffers, type BatchShape } from './batch-buffers.ts'
export { readByAll } from './borrow.ts'
export { contiguous } from './contiguous.ts'
export {
  type Keeper,
  type KeeperOptions,
  type LayerStates,
  ownRows,
  type RowsView,
  type Sharing,
  type StepItem,
  type StepPlan,
} from './keeper.ts'
export { bucket, type CacheManager, type CacheSize } from './manager.ts'
export { type EvictingSettings, evicting, paged } from './paged.ts'
export * from './policy.ts'
export { PrefixTree } from './prefix-tree.ts'
export { type QuantisedOptions, quantised } from './quantised.ts'
export { automatic, ring } from './ring.ts'
export { checkParts, packSaved, type Saved, unpackSaved, wrong } from './save-file.ts'
export { type LayoutOf, type RowsLayout, type SlotManager, slotManager } from './slots.ts'
export { States } from './states.ts'
export { type ThinkOptions, think } from './think.ts'
export { turned } from './turned.ts'
export { windowStates } from './window-view.ts'
