/** A log that says nothing, for tests in which processes crash on purpose. */
import type { Logger } from '../runtime/index.ts'

/** Drops everything. */
export const silentLogger: Logger = { error: () => {}, warn: () => {}, info: () => {} }
