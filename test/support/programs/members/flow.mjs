// `keelson/flow` as programs see it that run as several members.
export * from '../../../../dist/flow/index.js'
export { flow } from './start.mjs'
