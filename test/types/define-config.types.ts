/** Compiled, never run: the types of a configuration. */
import { defineConfig, type StartOptions, supervisor } from '../../src/index.ts'

const configuration = defineConfig({
  dir: './data',
  wal: { maxFileSize: 1 << 20 },
  app: supervisor('app', {}, []),
})

/** The folder may be left out, so it is given with the rest. */
export const options: StartOptions = { ...configuration, dir: './data' }

// @ts-expect-error an option that is none
defineConfig({ wal: { maxFileSise: 1 << 20 } })
// @ts-expect-error a configuration has no System: the command makes it
defineConfig({ system: undefined })
