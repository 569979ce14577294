// `keelson/testing` as programs see it whose instances are judged by their own tree.
import { startSimulated as own } from '../../../../dist/testing/index.js'
import { judgedSimulation } from './judged.mjs'

export * from '../../../../dist/testing/index.js'
export const startSimulated = judgedSimulation(own, (report) =>
  console.log(`judged ${JSON.stringify(report)}`),
)
