/** What `start` and `startSupervisor` say when a part of a tree does not start. */
import { expect, test } from 'vitest'
import {
  type GenServer,
  type KeelsonError,
  startSupervisor,
  supervisor,
  worker,
} from '../../src/index.ts'
import { testSystem } from '../../src/testing/index.ts'
import { machine } from '../support/simulated-instance.ts'

type Server = GenServer<Record<never, never>, null>

const noDatabase = new Error('no database')
const idle: Server = { init: () => null }
const failing: Server = {
  init: () => {
    throw noDatabase
  },
}
const tree = supervisor('app', {}, [
  supervisor('shop', {}, [worker('mail', idle), worker('bank', failing)]),
])

const failure = (work: Promise<unknown>) => work.catch((error) => error) as Promise<KeelsonError>

test('a start names the path to the part that failed and its error, which is the cause', async () => {
  const { start } = machine()

  const error = await failure(start({ app: tree }))

  expect(error.message).toBe('app › shop › bank did not start: Error: no database')
  expect(error.code).toBe('EXITED')
  expect(error.details.path).toEqual(['app', 'shop', 'bank'])
  expect(error.cause).toBe(noDatabase)
  expect(JSON.stringify(error)).toContain('no database')
})

test('a tree without an instance is named from its root on, and keeps the reason of OTP', async () => {
  const { system } = testSystem()

  const error = await failure(startSupervisor(system, tree))

  expect(error.message).toBe('app › shop › bank did not start: Error: no database')
  expect(error.details.reason).toEqual([
    'shutdown',
    ['failed_to_start_child', 'shop', ['shutdown', ['failed_to_start_child', 'bank', noDatabase]]],
  ])
})

test('a part whose reason is no error has it in the message', async () => {
  const { system } = testSystem()
  const refusing: Server = { init: () => Promise.reject('no mail') }

  const error = await failure(
    startSupervisor(system, supervisor('app', {}, [worker('mail', refusing)])),
  )

  expect(error.message).toBe('app › mail did not start: [nocatch, no mail]')
  expect(error.cause).toBeUndefined()
})

test('a root that does not start is named alone', async () => {
  const { system } = testSystem()
  await startSupervisor(system, supervisor('app', {}, [worker('idle', idle)]))

  const error = await failure(startSupervisor(system, supervisor('app', {}, [])))

  expect(error.message).toMatch(/^app did not start: \[already_started, /)
})
