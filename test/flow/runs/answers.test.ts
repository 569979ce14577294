/** Answers of runs and queues that do not come, and parts that are not there, in words of their user. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { answerOf, entitiesOf } from '../../../src/flow/runs/parts.ts'
import { durableActors } from '../../../src/supervisors/index.ts'

const run = { type: 'mail', id: '7' }
const mails = { queue: 'mails' }
const running = { [durableActors]: { entities: { work: { mayBegin: true } } } }
const refusal = (of: typeof run | typeof mails, error: unknown, ...late: string[]) =>
  answerOf(running, of, Promise.reject(error), ...late).catch(
    ({ code, message, details, cause }) => ({
      ...{ code, message, details, isCause: cause === error },
    }),
  )
const failed = (code: 'TIMEOUT' | 'EXITED', details: object) =>
  new KeelsonError(code, 'as the runtime says it', { details: { ...details } })

test('an answer is given as it is', async () => {
  expect(await answerOf(running, run, Promise.resolve(7))).toBe(7)
})

test('a late answer says how long it was waited for, and who did not answer', async () => {
  const late = failed('TIMEOUT', { timeoutMs: 50, call: 'x' })
  expect(await refusal(run, late)).toEqual({
    ...{ code: 'TIMEOUT', message: 'the run 7 of mail has not answered within 50 ms' },
    ...{ details: { ...run, timeoutMs: 50 }, isCause: true },
  })
  expect(await refusal(mails, late, 'has not ended')).toEqual({
    ...{ code: 'TIMEOUT', message: 'the queue mails has not ended within 50 ms' },
    ...{ details: { ...mails, timeoutMs: 50 }, isCause: true },
  })
})

test('the end of a process is no end of its run: another one goes on, now or at the next start', async () => {
  expect(await refusal(run, failed('EXITED', { reason: 'killed' }))).toEqual({
    ...{ code: 'EXITED', message: 'the run 7 of mail continues in another process: ask again' },
    ...{ details: run, isCause: true },
  })
  expect(await refusal(mails, failed('EXITED', { reason: 'shutdown' }))).toEqual({
    ...{ code: 'CLOSED', message: 'the queue mails continues at the next start' },
    ...{ details: mails, isCause: true },
  })
})

test('another error stays as it is', async () => {
  for (const error of [new KeelsonError('BUSY', 'full'), new Error('own'), undefined])
    await expect(answerOf(running, run, Promise.reject(error))).rejects.toBe(error)
})

test('a part that is not in the tree is named, and another error stays as it is', () => {
  const appWith = (error: unknown) => ({
    entity: () => {
      throw error
    },
  })
  const unknown = appWith(new KeelsonError('INVALID_ARGUMENT', 'no such kind'))
  expect(() => entitiesOf(unknown, 'queue', 'mails')).toThrow('queue: expected a queue of the tree')
  expect(() => entitiesOf(unknown, 'workflow', 'mail')).toThrow(
    'workflow: expected a workflow of the tree',
  )
  const closed = new KeelsonError('CLOSED', 'it has closed')
  expect(() => entitiesOf(appWith(closed), 'queue', 'mails')).toThrow(closed)
  const kinds: string[] = []
  const app = { entity: (kind: string) => kinds.push(kind) }
  entitiesOf(app, 'queue', 'mails')
  entitiesOf(app, 'workflow', 'mail')
  expect(kinds).toEqual(['$queue-mails', '$flow-mail'])
})
