/** What `start` and `startSupervisor` say when a part of a tree does not start. */
import { expect, test } from 'vitest'
import {
  createSystem,
  type GenServer,
  type KeelsonError,
  startSupervisor,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { type SimulatedDisk, silentLogger, testSystem } from '../../../src/testing/index.ts'
import { sampled } from '../../support/tier.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

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

/** Every path on a disk. */
const pathsOn = (disk: SimulatedDisk, folder = ''): string[] =>
  disk.list(folder || '/').flatMap((name) => {
    const path = `${folder}/${name}`
    return disk.entry(path)?.kind === 'folder' ? [path, ...pathsOn(disk, path)] : [path]
  })

test('a start that is refused leaves nothing in a new folder, whatever call to the disk fails', async () => {
  const whole = machine()
  await whole.start({ dir: '/new/data' })
  const all = whole.disk.calls
  let refused = 0
  for (const at of sampled(
    Array.from({ length: all }, (_, index) => index + 1),
    25,
  )) {
    const { start, disk } = machine()
    disk.inject({ at, fault: { kind: 'error', code: at % 2 ? 'ENOSPC' : 'EMFILE' } })
    const app = await start({ dir: '/new/data' }).catch(() => undefined)
    if (app) continue
    refused += 1
    disk.clearFaults()
    expect(pathsOn(disk), `call ${at}`).toEqual([])
  }
  expect(refused).toBeGreaterThan(10)
})

test('a tree that does not start leaves nothing in a new folder, unless it has written', async () => {
  const { start, disk, during } = machine()
  await failure(start({ app: tree }))
  expect(pathsOn(disk)).toEqual([])

  const writing: Server = {
    init: async (_, { app }) => {
      await app.store.put('order', 1)
      return null
    },
  }
  const late = supervisor('app', {}, [worker('writing', writing), worker('bank', failing)])
  await failure(start({ app: late }))
  const app = await start({})
  expect(app.store.get('order')).toBe(1)
  await during(app.close())
})

test('a start that fails on a System of the user leaves no listener there', async () => {
  const { start, clock } = machine()
  const system = createSystem({ clock, logger: silentLogger })
  const reports = ['supervisor.report', 'supervisor.gave_up', 'process.crashed'] as const

  for (let at = 0; at < 3; at++) await failure(start({ system, app: tree }))

  expect(reports.map((each) => system.events.listenerCount(each))).toEqual([0, 0, 0])
})

test('a start that is aborted before its tree begins leaves no process on a System of the user', async () => {
  const members = new Members()
  await members.during((await members.start('a')).close())
  const system = createSystem({ clock: members.clock, logger: silentLogger })
  const user = new AbortController()
  const begun = members.begin('a', {
    ...{ system, logger: undefined as never, cluster: { signal: user.signal } as never },
    onProgress: ({ step, recovery }) => void (step === 'recovering' && !recovery && user.abort()),
  })

  expect(await members.during(failure(begun))).toMatchObject({ code: 'CLOSED' })
  await members.clock.advance(leaseMs)
  expect(system.processes()).toEqual([])
})
