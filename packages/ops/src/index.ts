export * from './attend.ts'
export * from './linear.ts'
export * from './norm.ts'
export * from './rope.ts'
