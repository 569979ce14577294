/** A log that an engine keeps: the contract of hosts over the simulated engine, and what only such a log can meet. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { SnapshotUploads } from '../../../src/members/engine-log/log-files.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { type LogHost, markOf } from '../../../src/storage/index.ts'
import { logHostContract } from '../../contracts/log-host.contract.ts'
import { noUploads } from '../../support/worlds/engine-machine.ts'
import { content, payload, small } from '../../support/worlds/logs.ts'
import { SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const patienceMs = 5_000
const at = { dir: '', options: small }

logHostContract('kept by an engine', async () => {
  const clock = virtualClock()
  const engine = new SimulatedEngine({ clock })
  engine.makeLog('c', '0')
  const log = engine.connect('c').log('0')
  const makeHost = () => ownedLogHost({ log, clock, patienceMs, uploads: noUploads })
  return { ...at, makeHost, during: (work) => work, isMade: true }
})

const opened = async (host: LogHost): Promise<LogHost> => {
  const inspection = await host.run('inspect', { ...at, evidence: [] })
  await host.run('open', { ...at, inspection })
  return host
}

/** An engine with a log of frames 1, 2 and 3, with LSNs 2, 3 and 4, and its open host. */
const world = async () => {
  const clock = virtualClock()
  const engine = new SimulatedEngine({ clock })
  engine.makeLog('c', '0')
  const session = await engine.open({ cluster: 'c' })
  /** The log; while it is away, no call gets an answer. */
  const log = session.log('0')
  let isAway = false
  const unanswered = async () => {
    throw new KeelsonError('UNKNOWN_OUTCOME', 'no answer')
  }
  const proxy: typeof log = new Proxy(log, {
    get: (target, key: keyof typeof log) => (isAway && key !== 'rest' ? unanswered : target[key]),
  })
  const makeHost = () => ownedLogHost({ log: proxy, clock, patienceMs, uploads: noUploads })
  const host = makeHost()
  await opened(host)
  for (const number of [1, 2, 3]) await commit(host, number)
  const goAway = (isSo: boolean): void => {
    isAway = isSo
  }
  return { clock, engine, session, log, host, makeHost, goAway, kept: engine.kept('c', '0') }
}

const commit = (host: LogHost, number: number) => {
  const bytes = Uint8Array.from(payload(number))
  const request = { bytes, lengths: [bytes.length], now: number, sync: true, projectedLsn: 0 }
  return host.run('commit', request)
}

const contentsOf = async (host: LogHost): Promise<string[]> => {
  const { frames, bytes } = await host.run('read', { from: 1, maxBytes: 1_000_000 })
  return frames.map(({ offset, length }) =>
    Buffer.from(bytes.subarray(offset + 8, offset + length)).toString('base64'),
  )
}

/** Watches how a request ends. */
const outcomeOf = (work: Promise<unknown>): { code?: string } => {
  const outcome: { code?: string } = {}
  const ended = (code: string) => () => Object.assign(outcome, { code })
  work.then(ended('ok'), (error: KeelsonError) => ended(error.code)())
  return outcome
}

const down = { code: 'SHARD_DOWN', details: { reason: 'engine' } }

describe('a host whose engine is away', () => {
  test('acknowledges nothing, waits, and acknowledges when the engine is back', async () => {
    const { clock, host, goAway } = await world()
    goAway(true)
    const outcome = outcomeOf(commit(host, 4))
    const read = outcomeOf(host.run('read', { from: 1, maxBytes: 1 }))

    await clock.advance(patienceMs - 1_500)
    expect([outcome, read]).toEqual([{}, {}])
    goAway(false)
    await clock.advance(1_000)

    expect([outcome, read]).toEqual([{ code: 'ok' }, { code: 'ok' }])
  })

  test('ends when a commit had no answer for its patience, and all requests with it', async () => {
    const { clock, host, goAway, makeHost } = await world()
    goAway(true)
    const commits = [4, 5].map((number) => commit(host, number))
    const read = host.run('read', { from: 1, maxBytes: 1 })
    const ends = Promise.all(
      [...commits, read].map((work) => expect(work).rejects.toMatchObject(down)),
    )

    await clock.advance(patienceMs)
    await ends
    goAway(false)

    await expect(host.run('state', null)).rejects.toMatchObject(down)
    expect(await contentsOf(await opened(makeHost()))).toEqual([1, 2, 3].map((n) => content(n)))
  })

  test('leaves a commit whose answer was lost to the next host, which finds it', async () => {
    const { clock, host, goAway, makeHost, session } = await world()
    session.losesNext = true
    const lost = expect(commit(host, 4)).rejects.toMatchObject(down)
    goAway(true)
    await clock.advance(patienceMs)
    await lost
    goAway(false)

    expect(await contentsOf(await opened(makeHost()))).toEqual([1, 2, 3, 4].map((n) => content(n)))
  })

  test('does not open for longer than its patience', async () => {
    const { clock, goAway, makeHost } = await world()
    goAway(true)
    const opening = expect(opened(makeHost())).rejects.toMatchObject(down)
    await clock.advance(patienceMs)
    await opening
  })

  test('that is ended answers what waits', async () => {
    const { host, goAway } = await world()
    goAway(true)
    const refused = expect(commit(host, 4)).rejects.toMatchObject({ code: 'CLOSED' })
    await host.end()
    await refused
  })
})

describe('a host whose log another owner has claimed', () => {
  test('acknowledges nothing any more, and answers FENCED to everything', async () => {
    const { host, makeHost } = await world()
    const { epoch } = await host.run('state', null)
    const other = await opened(makeHost())
    await commit(other, 4)

    const late = [commit(host, 5), commit(host, 6)]

    const fenced = { code: 'FENCED' }
    for (const each of late) await expect(each).rejects.toMatchObject(fenced)
    await expect(host.run('state', null)).rejects.toMatchObject(fenced)
    await expect(host.run('release', { epoch, lsn: 1 })).rejects.toMatchObject(fenced)
    expect(await contentsOf(other)).toEqual([1, 2, 3, 4].map((n) => content(n)))
  })

  test('learns of it when it names a snapshot, or reads what the other one trimmed', async () => {
    for (const act of ['name', 'read'] as const) {
      const { host, makeHost } = await world()
      const { epoch } = await host.run('state', null)
      const other = await opened(makeHost())
      const { epoch: next } = await other.run('state', null)
      const snapshot = { lsn: 3, bytes: 1, sum: 1 }
      await other.run('name', { epoch: next, snapshot, keep: 1 })
      await other.run('release', { epoch: next, lsn: 3 })

      const request = act === 'name' ? { epoch, snapshot, keep: 1 } : { from: 1, maxBytes: 1 }
      await expect(host.run(act, request as never)).rejects.toMatchObject({ code: 'FENCED' })
      await expect(host.run('sync', null)).rejects.toMatchObject({ code: 'FENCED' })
    }
  })

  test('does not open with an inspection from before, and leaves it to the next host to look again', async () => {
    const { makeHost } = await world()
    const host = makeHost()
    const inspection = await host.run('inspect', { ...at, evidence: [] })
    await opened(makeHost())
    const opening = host.run('open', { ...at, inspection })
    await expect(opening).rejects.toMatchObject(down)
    await expect(host.run('state', null)).rejects.toMatchObject(down)
    expect(await contentsOf(await opened(makeHost()))).toEqual([1, 2, 3].map((n) => content(n)))
  })

  test('opens no more when the lease of its owner has ended', async () => {
    const { log, clock } = await world()
    const mayClaim = async () => {
      throw new KeelsonError('FENCED', 'the lease has ended')
    }
    const host = ownedLogHost({ log, clock, patienceMs, uploads: noUploads, mayClaim })
    await expect(opened(host)).rejects.toMatchObject({ code: 'FENCED' })
    expect((await log.head()).end.epoch).toBe(1)
  })
})

test('a look at the log whose answers are lost while the owner trims it is repeated, and fences nobody', async () => {
  const { clock, host, goAway } = await world()
  const { epoch } = await host.run('state', null)
  await host.run('name', { epoch, snapshot: { lsn: 3, bytes: 1, sum: 1 }, keep: 1 })
  goAway(true)
  const state = host.run('state', { after: 0 })
  const read = host.run('read', { from: 2, maxBytes: 1 })
  await clock.settle()
  goAway(false)
  await host.run('release', { epoch, lsn: 3 })

  const outcomes = Promise.allSettled([state, read])
  await clock.advance(100)

  expect(await outcomes).toMatchObject([
    { value: { firstLsn: 4 } },
    { reason: { code: 'BAD_CURSOR', details: { from: 2, firstLsn: 4 } } },
  ])
  await commit(host, 4)
})

describe('what an owner changed between the inspection and the claim of the next', () => {
  const named = async () => {
    const { host, makeHost } = await world()
    const { epoch } = await host.run('state', null)
    const next = makeHost()
    const inspection = await next.run('inspect', { ...at, evidence: [] })
    await host.run('name', { epoch, snapshot: { lsn: 3, bytes: 1, sum: 1 }, keep: 1 })
    return { host, epoch, next, open: () => next.run('open', { ...at, inspection }) }
  }

  test('is known to the next, if it is a snapshot', async () => {
    const { next, open } = await named()
    await open()
    expect((await next.run('state', null)).snapshots).toEqual([{ lsn: 3, bytes: 1, sum: 1 }])
  })

  test('makes another inspection necessary, if it is trimmed', async () => {
    const { host, epoch, open } = await named()
    await host.run('release', { epoch, lsn: 3 })
    await expect(open()).rejects.toMatchObject(down)
  })
})

describe('an engine that lost what it acknowledged', () => {
  const corrupt = { code: 'CORRUPT' }

  test('ends its owner at the next commit', async () => {
    const { host, engine, log } = await world()
    engine.loseTail('c', '0', 3)

    await expect(commit(host, 4)).rejects.toMatchObject(corrupt)

    await expect(host.run('sync', null)).rejects.toMatchObject(corrupt)
    expect((await log.head()).end.lsn).toBe(3)
  })

  test('ends its owner when another group stands in the place of a commit', async () => {
    const { host, log } = await world()
    const { end } = await log.head()
    const other = { ...end, lsn: end.lsn + 1, id: 'other' }
    await log.append({ after: end, end: other, provenLsn: 0, bytes: new Uint8Array() })

    await expect(commit(host, 4)).rejects.toMatchObject(corrupt)

    expect((await log.head()).end).toEqual(other)
  })

  test('is found by a projection that shows more, or another frame', async () => {
    const { host, makeHost, kept } = await world()
    const { walId, epoch } = await host.run('state', null)
    const inspected = (lsn: number, number: number, other = number) => {
      const frame = markOf(number, payload(other))
      const needs = { readFrom: 1, base: { damaged: [] }, shown: { walId, epoch, lsn, frame } }
      return makeHost().run('inspect', { ...at, evidence: [], needs })
    }
    expect(await inspected(4, 3)).toMatchObject({ base: { kind: 'projection' } })
    await expect(inspected(4, 2)).rejects.toMatchObject(corrupt)
    await expect(inspected(4, 3, 2)).rejects.toMatchObject(corrupt)
    await expect(inspected(5, 4)).rejects.toMatchObject(corrupt)
    // The claim of an owner has LSN 1, and no frame.
    await expect(inspected(1, 1)).rejects.toMatchObject(corrupt)

    await host.run('name', { epoch, snapshot: { lsn: 3, bytes: 1, sum: 1 }, keep: 1 })
    await host.run('release', { epoch, lsn: 3 })

    // The head keeps the mark of the frame at the point of trimming.
    expect(kept.head.trimmed.lsn).toBe(3)
    expect(await inspected(3, 2)).toMatchObject({ base: { kind: 'projection' } })
    await expect(inspected(3, 1)).rejects.toMatchObject(corrupt)
    expect(await inspected(2, 7)).toMatchObject({ base: { kind: 'snapshot' } })
  })

  test('keeps the snapshots that its log names then, and not those that its owner knows', async () => {
    const { clock, log, kept } = await world()
    const older = { lsn: 2, file: 'snapshot-1-2-1-1' }
    let named: readonly string[] = []
    const uploads: SnapshotUploads = {
      upload: async () => undefined,
      tidy: async (_, namedNow) => {
        kept.head = { ...kept.head, snapshots: [older] }
        named = await namedNow()
      },
    }
    const host = await opened(ownedLogHost({ log, clock, patienceMs, uploads }))
    const { epoch } = await host.run('state', null)

    await host.run('name', { epoch, snapshot: { lsn: 3, bytes: 1, sum: 1 }, keep: 1 })

    expect(named).toEqual([older.file])
  })

  test('is found by what a reader reads', async () => {
    const swapped = await world()
    const [, one, other] = swapped.kept.groups
    const bytes = one?.bytes as Uint8Array
    Object.assign(one as object, { bytes: other?.bytes })
    Object.assign(other as object, { bytes })
    await expect(contentsOf(swapped.host)).rejects.toMatchObject(corrupt)

    const flipped = await world()
    const last = flipped.kept.groups[3]?.bytes as Uint8Array
    last.set([(last[50] ?? 0) ^ 1], 50)
    await expect(contentsOf(flipped.host)).rejects.toMatchObject(corrupt)
    await expect(opened(flipped.makeHost())).rejects.toMatchObject(corrupt)

    const holed = await world()
    holed.kept.groups.splice(2, 1)
    await expect(contentsOf(holed.host)).rejects.toMatchObject(corrupt)
  })
})

test('a description has the bytes that the engine keeps, and no segments', async () => {
  const { host, kept } = await world()
  const inEngine = () => kept.groups.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const described = async () => {
    const { segments, engineBytes } = await host.run('describe', null)
    return { segments, engineBytes }
  }
  const before = inEngine()
  expect(await described()).toEqual({ segments: [], engineBytes: before })
  const { epoch } = await host.run('state', null)
  await host.run('name', { epoch, snapshot: { lsn: 3, bytes: 1, sum: 1 }, keep: 1 })

  const { removed, removedBytes } = await host.run('release', { epoch, lsn: 3 })

  expect({ removed, removedBytes }).toEqual({ removed: 0, removedBytes: before - inEngine() })
  expect(removedBytes).toBeGreaterThan(0)
  expect(await described()).toEqual({ segments: [], engineBytes: inEngine() })
})

test('a claim proves nothing before it is acknowledged', async () => {
  const { makeHost, kept } = await world()

  await opened(makeHost())

  // The owner before had proven the frame before its last one.
  expect(kept.groups.at(-1)).toMatchObject({ provenLsn: 3, end: { epoch: 2, lsn: 5 } })
})

test('a log that needs a newer version is not opened', async () => {
  const { kept, makeHost } = await world()
  kept.head = { ...kept.head, features: 64 }
  await expect(opened(makeHost())).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' })
})

test('a log is marked with what all members read, and takes no frame that one of them does not', async () => {
  const { log, clock, kept } = await world()
  const features = { reads: 3, on: 0 }
  const makeHost = () => ownedLogHost({ log, clock, patienceMs, uploads: noUploads, features })
  const host = await opened(makeHost())
  const withFeature = () =>
    host.run('commit', {
      bytes: content(4),
      lengths: [content(4).length],
      now: 1,
      sync: true,
      features: 1,
    } as never)

  await expect(withFeature()).rejects.toMatchObject({
    code: 'UNSUPPORTED_VERSION',
    details: { features: 1, on: 0 },
  })
  expect(kept.head).toMatchObject({ features: 0, end: { lsn: 5 } })
  features.on = 1
  await withFeature()
  expect(kept.head).toMatchObject({ features: 1, end: { lsn: 6 } })
})

test('a mark goes behind a group that nothing in the log proves, once', async () => {
  const { host, kept } = await world()
  const marked = async () => (await host.run('mark', null)).written

  expect([await marked(), await marked()]).toEqual([true, false])
  expect(kept.groups.at(-1)).toMatchObject({ provenLsn: 4, end: { lsn: 5 } })
  await commit(host, 4)
  expect(await marked()).toBe(true)
  expect(await contentsOf(host)).toEqual([1, 2, 3, 4].map((n) => content(n)))
})
