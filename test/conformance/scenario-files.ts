/**
 * Files of scenarios: found below folders, read and checked against the format. What is no such file is a fault with a
 * name, never a throw.
 */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Scenario } from './adapter/scenario.ts'

/** A file with its scenarios, or with what is wrong with it. */
export type ScenarioFile =
  | { readonly path: string; readonly scenarios: readonly Scenario[]; readonly fault?: never }
  | { readonly path: string; readonly fault: string; readonly scenarios?: never }

/** The project's own scenarios, as recorded; from the project's folder, where npm and vitest run. */
export const ownScenarios = join('test', 'conformance', 'otp', 'scenarios')

/** Random ones besides, recorded in the same way: see `recorder/README.md`. */
export const moreScenarios = join('test', 'conformance', 'more')

/** Every file of scenarios at or below `path`, in the order of their names: all that end in `.json`. Links are followed. */
export const scenarioFiles = (path: string): ScenarioFile[] => {
  let files: string[]
  try {
    files = statSync(path).isDirectory() ? jsonBelow(path) : [path]
  } catch (error) {
    return [{ path, fault: `it cannot be read: ${messageOf(error)}` }]
  }
  if (files.length === 0) return [{ path, fault: 'there is no .json file below it' }]
  return files.map(scenarioFile)
}

/** `above`: where `folder` and those it is in really are, so that a link to one of them leads nowhere. */
const jsonBelow = (folder: string, above: readonly string[] = []): string[] => {
  const here = realpathSync(folder)
  if (above.includes(here)) return []
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      // A link that leads nowhere is read as a file, if it is named like one: its fault is told then.
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
        return name === 'node_modules' ? [] : jsonBelow(path, [...above, here])
      return name.endsWith('.json') ? [path] : []
    })
}

const scenarioFile = (path: string): ScenarioFile => {
  try {
    // Some editors begin a file with a byte order mark.
    const content: unknown = JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''))
    const fault = faultOf(content)
    if (fault !== undefined) return { path, fault }
    const { scenarios } = content as { scenarios: Scenario[] }
    return { path, scenarios: scenarios.map((each) => ({ ...each, title: titleOf(each) })) }
  } catch (error) {
    return { path, fault: `it cannot be read: ${messageOf(error)}` }
  }
}

/** A title is for people: a scenario without one goes by its id. */
const titleOf = ({ title }: { readonly title?: unknown }): string =>
  typeof title === 'string' ? title : ''

/** What makes `content` no file of scenarios. */
const faultOf = (content: unknown): string | undefined => {
  if (!isRecord(content)) return 'it is no object'
  if (content.format !== 1) return `its format is ${JSON.stringify(content.format)}, not 1`
  if (!Array.isArray(content.scenarios)) return 'it has no list of scenarios'
  for (const [at, scenario] of content.scenarios.entries()) {
    const fault = scenarioFault(scenario)
    if (fault !== undefined) return `its scenario ${at + 1} ${fault}`
  }
  return undefined
}

const scenarioFault = (scenario: unknown): string | undefined => {
  if (!isRecord(scenario)) return 'is no object'
  const { id, procs, steps, expected } = scenario
  if (typeof id !== 'string') return 'has no id'
  if (!isRecord(procs)) return 'has no procs'
  for (const [name, definition] of Object.entries(procs))
    if (!isRecord(definition) || typeof definition.kind !== 'string')
      return `has a definition ${name} without a kind`
  if (!Array.isArray(steps) || !steps.every(isOperation)) return 'has no list of steps'
  if (!Array.isArray(expected) || !expected.every(isRecord)) return 'has no list of traces'
  if (steps.length !== expected.length)
    return `has ${steps.length} steps and ${expected.length} traces`
  return undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isOperation = (value: unknown): boolean =>
  Array.isArray(value) && typeof value[0] === 'string'

/** The message of an error, in one line. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
