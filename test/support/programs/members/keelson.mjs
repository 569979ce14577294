// The package as programs see it that run as several members.
export * from '../../../../dist/index.js'
export { start } from './start.mjs'
