/** As `vitest.config.ts`, with the tests of one room (`MUTANTS_TESTS`), in the way that Stryker runs them: in a thread. */
import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

const { include: _, execArgv: __, ...test } = base.test ?? {}

export default mergeConfig(
  { ...base, test },
  defineConfig({
    test: {
      include: (process.env.MUTANTS_TESTS ?? '')
        .split(',')
        .map((path) => `${path}{,/**/*,*}.test.ts`),
      reporters: [],
      testTimeout: 20_000,
    },
  }),
)
