import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { evidenceTags } from './test/support/evidence-table.ts'
import { triesAll, triesLong } from './test/support/tier.ts'

// Many tests load the built package: none may look at a stale build.
execFileSync(process.execPath, ['build.mjs', '--if-stale'], { stdio: 'inherit' })

const timeoutMs = triesAll ? 600_000 : triesLong ? 400_000 : 120_000

/**
 * Another copy of XState: `KEELSON_XSTATE` for all, `KEELSON_XSTATE_OF_TESTS` for the tests' machines alone, as where an
 * application brings its own.
 */
const { KEELSON_XSTATE: ofAll, KEELSON_XSTATE_OF_TESTS: ofTests } = process.env
const hasOtherXState = ofAll !== undefined || ofTests !== undefined
const otherXState = {
  name: 'other-xstate',
  enforce: 'pre' as const,
  transform(code: string, file: string) {
    const other = (file.includes('/test/') ? ofTests : undefined) ?? ofAll
    return other && code.replaceAll(/^(import .*|} )from 'xstate'/gm, `$1from '${other}'`)
  },
}

/**
 * The files of the longer tiers run before the others, each kind in Vitest's own order. Else some of a minute may begin when little
 * else is left, and the run waits for one worker.
 */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isQuick = ({ moduleId }: TestSpecification): number =>
      /\.(?:long|slow)\.test\.ts$/.test(moduleId) ? 0 : 1
    return (await super.sort(files)).sort((one, other) => isQuick(one) - isQuick(other))
  }
}

export default defineConfig({
  plugins: hasOtherXState ? [otherXState] : [],
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(triesLong ? [] : ['**/*.{long,slow}.test.ts'])],
    // A tag that is neither `slow` nor a number of a page of evidence is refused.
    tags: ['slow', ...evidenceTags()].map((name) => ({ name })),
    setupFiles: [
      'test/support/equal-bytes.ts',
      ...(process.env.KEELSON_MEMBERS ? ['test/support/members-again.ts'] : []),
    ],
    // The built package is loaded as users load it. Through Vite that takes twice the time.
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    // No module keeps state that changes (`tidy.test.ts`), so one process may run many files. Loading the modules anew
    // for each file costs as much as all the tests.
    isolate: false,
    // A run of one file loads up to 700 modules. What a module became is kept by its content from run to run.
    experimental: { fsModuleCache: !hasOtherXState, fsModuleCachePath: '.tmp/modules' },
    // V8 optimises a function three times later than by itself. Few functions of a test run long enough to earn it back.
    // The V8 of Node 22 has no such option.
    execArgv: Number.parseInt(process.versions.node, 10) < 22 ? ['--interrupt-budget=400000'] : [],
    // Many tests wait for a disk or a child process: one worker more than cores takes a sixth off the whole. Those of the
    // longer tiers wait for processes, kills and time-outs more than half of their time: there is room for two more.
    maxWorkers: availableParallelism() + (triesLong ? 2 : 1),
    // The longer tiers try up to twenty times as many cases, on machines that do other things too.
    sequence: { sequencer: LongFirst },
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    // `.ci/run` counts from the file.
    reporters: process.env.CI
      ? ['default', 'json', './scripts/slow-tests-reporter.mjs']
      : ['default'],
    outputFile: { json: '.tmp/test-results.json' },
  },
})
