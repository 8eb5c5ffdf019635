export { contiguous } from './contiguous.ts'
export { bucket, type CacheManager, type RowsLayout } from './manager.ts'
export { automatic, ring } from './ring.ts'
export { type LayoutOperands, rowsView, updateRows } from './view.ts'
