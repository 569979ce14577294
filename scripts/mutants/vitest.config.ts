/** As `vitest.config.ts`, with the tests of one room (`MUTANTS_TESTS`), in the way that Stryker runs them: in a thread. */
import { configDefaults, defineConfig, mergeConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import base from '../../vitest.config.ts'

const { include: _, exclude: __, execArgv: ___, ...test } = base.test ?? {}
const paths = (process.env.MUTANTS_TESTS ?? '').split(',')

/** A run ends with the first test that fails: the room's own tests run first, simulations last. */
class NearestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const distance = ({ moduleId }: TestSpecification): number =>
      paths.findIndex((path) => moduleId.includes(path))
    return [...files].sort((one, other) => distance(one) - distance(other))
  }
}

export default mergeConfig(
  { ...base, test },
  defineConfig({
    test: {
      include: paths.map((path) => `${path}{,/**/*,*}.test.ts`),
      sequence: { sequencer: NearestFirst },
      // `leaks` measures the heap, which the code of all mutants fills. `machine-copies` reads the text of the code.
      exclude: [
        ...configDefaults.exclude,
        '**/*.long.test.ts',
        '**/{leaks,machine-copies}.slow.test.ts',
      ],
      reporters: [],
      testTimeout: Number(process.env.MUTANTS_PATIENCE_MS),
    },
  }),
)
