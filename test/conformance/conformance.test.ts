/**
 * The recorded scenarios of Erlang/OTP, played on this runtime, those that came with the format and random ones: every
 * trace must be equal, first come, first served, and in orders that seeds draw. There is no list of exceptions.
 */
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { thorough } from '../support/tier.ts'
import { failureOf } from './judgement.ts'
import { failureLines } from './report.ts'
import { moreScenarios, ownScenarios, type ScenarioFile, scenarioFiles } from './scenario-files.ts'

/** Orders of processes that are tried besides the plain one. */
const seeds = Array.from({ length: thorough(1, 20) }, (_, index) => index + 1)

const files = [ownScenarios, moreScenarios].flatMap(scenarioFiles)

/** What of a file does not play as recorded, in words. */
const failures = async (file: ScenarioFile, seed?: number): Promise<string[]> => {
  const lines: string[] = file.fault === undefined ? [] : [file.fault]
  for (const scenario of file.scenarios ?? []) {
    const failure = await failureOf(scenario, seed)
    if (failure !== undefined) lines.push(...failureLines(scenario.id, scenario.title, failure))
  }
  return lines
}

describe('the traces of Erlang/OTP', () => {
  for (const file of files) {
    const title = relative(join('test', 'conformance'), file.path)
    test(`${title} plays as recorded`, async () => {
      expect(await failures(file)).toEqual([])
    })

    test(`${title}: no order that is not promised changes a trace`, async () => {
      for (const seed of seeds) expect(await failures(file, seed), `seed ${seed}`).toEqual([])
    })
  }

  test('are all here', () => {
    const ids = files.flatMap(({ scenarios = [] }) => scenarios.map(({ id }) => id))
    expect(new Set(ids).size).toBe(1019 + 531)
  })
})
