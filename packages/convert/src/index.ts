export { type Conversion, type ConvertOptions, type ConvertProgress, convert, convertAll } from './convert.ts'
export { entriesOf, layerNumbers, type Plan, type PlanEntry, planFrom } from './plan.ts'
export { type ConversionReport, kvBytesPerToken, type LayerReport, meanError } from './report.ts'
export { memoryStream, type StreamStore } from './stream.ts'
