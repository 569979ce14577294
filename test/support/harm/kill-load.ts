/**
 * A load that storage actors are killed under: appends to many keys, a large value, calls of durable
 * actors and entries of the journal, all in flight at once. Each answer is compared with a count, so
 * that an effect that is lost or doubled shows in the next answer. Any error is wrong.
 */
import type { DurableServer } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'

/** The package: its sources, or as it is built. */
type Kit = typeof import('../../../src/index.ts')

/** What is in flight at once. */
export const puts = 1_024
const calls = 64
const entries = 64
const largeBytes = 300_000

type Counting = { calls: { add: () => number } }

/** The load, and what it found wrong. */
export const killLoad = ({ call, entity, isKeelsonError, ok, reply, supervisor }: Kit) => {
  const counting: DurableServer<Counting, number> = {
    init: () => ok(0),
    calls: { add: (count) => reply(count + 1, count + 1) },
  }
  const counters = entity('counter', counting, { idleMs: 24 * 3_600_000 })
  const wrong: string[] = []
  const acked: string[] = []
  let waves = 0

  const expectAnswer = async (what: string, work: Promise<unknown>, expected: unknown) => {
    try {
      const answer = await work
      if (answer !== expected && wrong.length < 100)
        wrong.push(`${what} of wave ${waves}: ${answer}, not ${expected}`)
    } catch (error) {
      wrong.push(`${what} of wave ${waves}: ${isKeelsonError(error) ? error.code : error}`)
    }
  }

  /** The last large value is whole. Asked while nothing recovers: a read does not wait. */
  const checkLarge = async ({ store }: App): Promise<void> => {
    const large = (await store.load('large')) as Buffer
    if (!Buffer.alloc(largeBytes, waves % 251).equals(large)) wrong.push(`large of wave ${waves}`)
  }

  /** Has everything in flight; resolves when all of it was answered. */
  const wave = async (app: App): Promise<void> => {
    waves++
    const { store, journal } = app
    const counted = waves
    const large = store.put('large', Buffer.alloc(largeBytes, counted % 251))
    const noted = (id: string) =>
      journal.append({ id, type: 'noted' }).then(({ repeated }) => {
        acked.push(id)
        return repeated
      })
    await Promise.all([
      expectAnswer(
        'a large put',
        large.then(() => true),
        true,
      ),
      ...Array.from({ length: puts }, (_, at) =>
        expectAnswer(
          'an append',
          store.append(`key:${at}`, 'x').then(({ length }) => length),
          counted,
        ),
      ),
      ...Array.from({ length: calls }, (_, at) =>
        expectAnswer('a call', call(app.entity(counters).ref(String(at)), 'add'), counted),
      ),
      ...Array.from({ length: entries }, (_, at) =>
        expectAnswer('an entry', noted(`${counted}:${at}`), false),
      ),
    ])
  }

  /** Compares what is there with what was answered. */
  const check = async (app: App): Promise<void> => {
    for (let at = 0; at < puts; at++)
      if (String(app.store.get(`key:${at}`)).length !== waves) wrong.push(`key:${at}`)
    await checkLarge(app)
    for (let at = 0; at < calls; at++)
      if (app.entity(counters).state(String(at)) !== waves) wrong.push(`counter ${at}`)
    const found: string[] = []
    for await (const { id } of app.journal.entries()) found.push(id)
    if (String(found) !== String(acked)) wrong.push('the journal')
  }

  const answers = puts + calls + entries + 1
  return { answers, tree: supervisor('app', {}, [counters]), wave, checkLarge, check, wrong }
}
