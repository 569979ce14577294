// The package as programs see it whose instances are judged by their own tree.
import { start as own } from '../../../../dist/index.js'
import { judgedStart } from './judged.mjs'

export * from '../../../../dist/index.js'
export const start = judgedStart(own, (report) => console.log(`judged ${JSON.stringify(report)}`))
