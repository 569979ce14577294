/** A wait for a job of another member: given up, nothing of it is left there; a close of its caller ends it. */
import { getEventListeners } from 'node:events'
import { beforeEach, expect, test } from 'vitest'
import { flow, flows, queue } from '../../../src/flow/index.ts'
import { queueId, queueKind } from '../../../src/flow/runs/parts.ts'
import { supervisor } from '../../../src/index.ts'
import { addressOf, type Process, type Ref } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const names = ['a', 'b', 'c']
const mails = queue('mails', async (mail: string) => mail)

let world: FolderMembers
let apps: readonly App[]

beforeEach(async () => {
  world = new FolderMembers(names)
  apps = await world.start(names, () => ({
    app: supervisor('app', {}, [flows({ queues: [mails] })]),
  }))
  await world.during(flow(apps[0] as App).add(mails, 'later', { delay: '2d' }))
})

/** Whether the member has the queue. */
const isOwner = (app: App): boolean =>
  app.shards[app.entities.shardOf(`${queueKind('mails')}/${queueId}`).index]?.phase.kind === 'open'

/** How many callers wait at the process of the queue for the result of a job. */
const waiting = (): number => {
  const owner = apps.find(isOwner) as App
  const ref = owner.entity(queueKind('mails')).ref(queueId)
  let count = 0
  let call = addressOf<Process>(ref as Ref).resolve()?.owed.first
  for (; call; call = call.after) if (call.name === 'result') count++
  return count
}

test('a wait for a job of another member that is given up leaves nothing at either of them', async () => {
  const other = apps.find((app) => !isOwner(app)) as App
  const given = new AbortController()
  const { signal } = given
  const wait = flow(other).job(mails, '1').result({ timeoutMs: 86_400_000, signal })
  const heard = wait.catch((error: unknown) => error)
  await world.clock.advance(1_000)
  expect([waiting(), getEventListeners(signal, 'abort').length]).toEqual([1, 1])
  const reason = new Error('the caller has gone')
  given.abort(reason)
  expect(await heard).toBe(reason)
  await world.clock.advance(1_000)
  expect([waiting(), getEventListeners(signal, 'abort').length]).toEqual([0, 0])
})

test('a close of its caller ends a wait for a job of a member that stays', async () => {
  const other = apps.find((app) => !isOwner(app)) as App
  const wait = flow(other).job(mails, '1').result({ timeoutMs: 86_400_000 })
  const heard = wait.catch(({ code }) => code)
  await world.clock.advance(1_000)
  const since = world.clock.monotonic()
  await world.during(other.close())
  expect(await heard).toBe('CLOSED')
  expect(world.clock.monotonic() - since).toBeLessThan(5_000)
  expect(waiting()).toBe(0)
})
