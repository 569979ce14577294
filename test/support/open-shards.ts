import type { App } from '../../src/index.ts'

/** The shards that this member has open. */
export const openShards = (app: App): number[] =>
  app.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)
