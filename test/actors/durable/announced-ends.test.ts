/** The end of a durable actor is announced when its last turn is durable, also to what begins to watch it after its end. */
import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  name,
  reply,
  type SupervisorMessages,
  supervisor,
  terminateChild,
  worker,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: () => number } }

const server: DurableServer<Messages, number> = {
  init: () => 0,
  calls: { add: (count) => reply(count + 1, count + 1) },
}

/** A worker that has ended while its turn is on its way, and the order of what comes then. */
const ended = async () => {
  const app = supervisor('app', {}, [worker('tally', server, { durable: true })])
  const s = await simulated({ syncMs: 50, app })
  const heard: unknown[] = []
  const ref = s.system.whereis(name<Messages>('tally')) as never
  void call(s.system.to(name<Messages>('tally')), 'add').then((count) => heard.push(count))
  await s.advance(10)
  s.system.events.on('supervisor.report', ({ errorContext }) => {
    if (errorContext === 'shutdown_error') heard.push(errorContext)
  })
  return { s, ref, heard }
}

test('a monitor hears its reason after the answer of that turn, and a later one that there is none', async () => {
  const { s, ref, heard } = await ended()
  s.system.exit(ref, ['shutdown', 'over'])
  s.system.monitor(ref, (reason) => void heard.push(reason))
  await s.advance(10)
  expect(heard).toEqual([])
  await s.advance(1_000)
  expect(heard).toEqual([1, ['shutdown', 'over']])
  s.system.monitor(ref, (reason) => void heard.push(reason))
  await s.advance(1)
  expect(heard).toEqual([1, ['shutdown', 'over'], 'noproc'])
})

test('a supervisor that is to end it waits for its reason', async () => {
  const { s, ref, heard } = await ended()
  const left = terminateChild(s.system.to(name<SupervisorMessages>('app')), 'tally')
  s.system.exit(ref, 'shutdown')
  void left.then(({ ok }) => heard.push(ok))
  await s.advance(1_000)
  expect(heard).toEqual([1, true])
})
