/**
 * `npm run conformance -- [--seed N] [DIR…]`: plays every scenario below the folders (the project's own by default) on
 * virtual time, tells each that fails, and ends with `N passed, N failed`; exit code 1 on any failure.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { failureOf } from './judgement.ts'
import { failureLines } from './report.ts'
import { messageOf, ownScenarios, scenarioFiles } from './scenario-files.ts'

const say = (lines: readonly string[]): void => {
  process.stdout.write(`${lines.join('\n')}\n`)
}

const argumentsOf = (): {
  readonly paths: readonly string[]
  readonly seed: number | undefined
} => {
  const { values, positionals } = parseArgs({
    options: { seed: { type: 'string' } },
    allowPositionals: true,
  })
  const seed = values.seed === undefined ? undefined : Number(values.seed)
  if (seed !== undefined && !Number.isSafeInteger(seed))
    throw new Error(`--seed takes a whole number, found '${values.seed}'`)
  // npm runs scripts in the project's folder; what a user names is seen from where the user is.
  const from = process.env.INIT_CWD ?? '.'
  const paths = positionals.map((path) => resolve(from, path))
  return { paths: paths.length === 0 ? [ownScenarios] : paths, seed }
}

const run = async (): Promise<number> => {
  const { paths, seed } = argumentsOf()
  let passed = 0
  let failed = 0
  for (const file of paths.flatMap(scenarioFiles)) {
    if (file.fault !== undefined) {
      failed++
      say(failureLines(file.path, '', { fault: file.fault }))
    }
    for (const scenario of file.scenarios ?? []) {
      const failure = await failureOf(scenario, seed)
      if (failure === undefined) passed++
      else {
        failed++
        say([...failureLines(scenario.id, scenario.title, failure), `  in ${file.path}`])
      }
    }
  }
  say([`${passed} passed, ${failed} failed`])
  return failed === 0 ? 0 : 1
}

try {
  process.exitCode = await run()
} catch (error) {
  process.stderr.write(`conformance: ${messageOf(error)}\n`)
  process.exitCode = 1
}
