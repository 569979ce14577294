/** A start that waits for its engine says so in the log, unless the program hears its steps. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { loadEngineStorage } from '../../../src/members/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { Members } from '../../support/worlds/members.ts'

/** The warnings of a start whose engine answers with one reason, then with another one. */
const warned = async (more: Partial<StartOptions>): Promise<readonly string[]> => {
  // That takes real time: none passes here.
  await loadEngineStorage()
  const members = new Members()
  const log = capturedLog()
  let reason = 'no connection'
  const open = async (): Promise<never> => {
    throw new KeelsonError('UNKNOWN_OUTCOME', reason)
  }
  const waiting = new AbortController()
  const cluster = { engine: { description: 'pg', open }, signal: waiting.signal }
  const failed = members
    .begin('a', { ...more, logger: log, cluster: cluster as never })
    .catch(() => 'ended')
  await members.clock.advance(185_000)
  reason = 'it is read-only'
  await members.clock.advance(185_000)
  waiting.abort()
  expect(await members.during(failed)).toBe('ended')
  return log.messages('warn')
}

test('without `onProgress` the log has one line for each reason', async () => {
  expect(await warned({ onProgress: undefined as never })).toEqual([
    'the start waits for the engine: pg: UNKNOWN_OUTCOME: no connection',
    'the start waits for the engine: pg: UNKNOWN_OUTCOME: it is read-only',
  ])
})

test('with `onProgress` the log has none', async () => {
  expect(await warned({})).toEqual([])
})
