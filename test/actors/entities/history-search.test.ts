/** The search of a log behind `history` and `diff`: its pin, where it looks, its pages and cursors. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  KeelsonError,
  type PastOptions,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import type { SimulatedOptions, Simulation } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: (by: number) => void } }
type State = { readonly total: number; readonly pin: string }

const server: DurableServer<Messages, State> = {
  init: () => ({ total: 0, pin: 'canary' }),
  calls: { add: (state, by) => reply(undefined, { ...state, total: state.total + by }) },
}

/** An instance with the totals 1, 3 and 6 of the entity `a`. */
const world = async (options: SimulatedOptions = {}, of = server) => {
  const s = await simulated({ app: supervisor('app', {}, [entity('sum', of)]), ...options })
  const sums = () => s.app.entity<Messages, State>('sum')
  await s.during(s.app.store.put('before', 1))
  for (const by of [1, 2, 3]) await s.during(call(sums().ref('a'), 'add', by))
  const past = (more?: PastOptions) => s.during(sums().history('a', more))
  return { s, sums, past }
}

/** Lets `run` stand before the log of the shard. Returns the kinds and requests that came. */
const watched = (
  s: Simulation,
  run: (kind: string, next: () => Promise<unknown>) => Promise<unknown> = (_, next) => next(),
) => {
  const [shard] = s.app.shards
  const host = shard?.files.log() as LogHost
  const asked: [string, unknown][] = []
  const standing: LogHost = {
    ...host,
    run: (kind, request) => {
      asked.push([kind, request])
      return run(kind, () => host.run(kind, request)) as never
    },
  }
  const spy = vi.spyOn(shard?.files as { log(): LogHost }, 'log').mockReturnValue(standing)
  onTestFinished(() => void spy.mockRestore())
  return asked
}

const totalsOf = ({
  turns,
}: {
  readonly turns: readonly { readonly state?: State | undefined }[]
}) => turns.map(({ state }) => state?.total)

describe('the pin of a search', () => {
  test('begins where the log does, also if that was given back meanwhile, and ends with it', async () => {
    const { s, past } = await world()
    let isLate = true
    const asked = watched(s, (kind, next) => {
      if (kind !== 'pin' || !isLate) return next()
      isLate = false
      return Promise.reject(new KeelsonError('BAD_CURSOR', 'it was given back'))
    })

    expect(totalsOf(await past())).toEqual([6, 3, 1])

    expect(asked.map(([kind]) => kind)).toEqual([
      ...['state', 'pin', 'state', 'pin', 'describe', 'unpin'],
    ])
    expect(asked.filter(([kind]) => kind === 'pin').map(([, request]) => request)).toEqual([
      { from: 1 },
      { from: 1 },
    ])
  })

  test('that is refused for another reason ends the search with that', async () => {
    const { s, past } = await world()
    watched(s, (kind, next) =>
      kind === 'pin' ? Promise.reject(new KeelsonError('SHARD_DOWN', 'no log')) : next(),
    )
    expect(await codeOf(past())).toBe('SHARD_DOWN')
  })

  test('ends with a search that fails, whose error stands also if the log has ended', async () => {
    const { s, past } = await world()
    const down = new KeelsonError('SHARD_DOWN', 'no log')
    const asked = watched(s, (kind, next) =>
      kind === 'describe' || kind === 'unpin' ? Promise.reject(down) : next(),
    )
    await expect(past()).rejects.toBe(down)
    expect(asked.at(-1)?.[0]).toBe('unpin')
  })
})

describe('a search', () => {
  test('is told where the frames of the newest segment end', async () => {
    const { s, past } = await world()
    const scan = vi.spyOn(s.app.entities, 'scanTurns')
    await past()
    const { log } = await s.during(s.app.wal(0).describe())
    const last = log?.segments.at(-1)
    expect(scan.mock.calls[0]?.[0].newest).toEqual({ file: last?.file, offset: last?.usedBytes })
  })

  test('finds turns that readers see, also before they are synced', async () => {
    const { s, past } = await world({ wal: { syncInterval: 600_000 } })
    expect(totalsOf(await past())).toEqual([6, 3, 1])
    const { log } = await s.during(s.app.wal(0).describe())
    expect(log?.durableLsn).toBeLessThan(s.app.shards[0]?.appliedLsn ?? 0)
  })

  test('that comes to its time goes on by its cursor, and a diff does so by itself', async () => {
    const { s, sums, past } = await world()
    const [newest, , oldest] = (await past()).turns.map(({ lsn }) => lsn)
    let searches = 0
    const { scanTurns } = s.app.entities
    vi.spyOn(s.app.entities, 'scanTurns').mockImplementation(async (request, log) => {
      const found = await scanTurns(request, log)
      // Each other search finds nothing in its time.
      return searches++ % 2 === 0 ? { ...found, turns: [], wanted: request.wanted } : found
    })

    const page = await past()
    expect([page.turns, page.isCut, typeof page.cursor]).toEqual([[], false, 'string'])
    expect(totalsOf(await past({ before: page.cursor as string }))).toEqual([6, 3, 1])
    const difference = sums().diff('a', oldest as number, newest as number)
    expect(await s.during(difference)).toEqual([{ path: 'total', before: 1, after: 6 }])
    expect(searches).toBe(6)
  })

  test('of an actor that was removed last of all begins with its removal', async () => {
    const { s, sums, past } = await world()
    await s.during(sums().delete('a'))
    const { turns } = await past()
    expect(turns.map(({ cause }) => cause.kind)).toEqual(['end', 'call', 'call', 'birth'])
    expect(turns[0]?.lsn).toBe(s.app.shards[0]?.appliedLsn)
    const { cursor = '' } = await past({ limit: 1 })
    expect(totalsOf(await past({ before: cursor }))).toEqual([6, 3, 1])
  })

  test('as of an LSN before its actor was born has no turn, and a diff no state', async () => {
    const { s, sums, past } = await world()
    const [newest] = (await past()).turns.map(({ lsn }) => lsn)
    expect(await past({ atLsn: 1 })).toEqual({ turns: [], firstLsn: 1, isCut: false })
    expect(await s.during(sums().diff('a', 1, newest as number))).toEqual([
      { path: '', after: { total: 6, pin: 'canary' } },
    ])
  })

  test('with options that mean nothing is INVALID_ARGUMENT', async () => {
    const { s, sums, past } = await world()
    for (const options of [
      ...[{ limit: 0 }, { limit: 1_001 }, { limit: 1.5 }, { atLsn: 0 }, { atLsn: 1.5 }],
      ...[{ reveal: 'yes' }, { after: 'x' }],
    ])
      expect([options, await codeOf(past(options as never))]).toEqual([options, 'INVALID_ARGUMENT'])
    const diff = sums().diff('a', 1, 2, { atLsn: 1 } as never)
    expect(await codeOf(s.during(diff))).toBe('INVALID_ARGUMENT')
    expect(totalsOf(await past({ limit: 1_000, atLsn: 1_000 }))).toEqual([6, 3, 1])
  })
})

describe('a cursor', () => {
  /** Reads the page behind a sound cursor of the query, with another place. */
  const reader = async () => {
    const { past } = await world()
    const { cursor = '' } = await past({ limit: 1 })
    const [of] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    return (place: unknown) =>
      past({ before: Buffer.from(JSON.stringify([of, place])).toString('base64url') })
  }

  test('with what is no place is BAD_CURSOR', async () => {
    const read = await reader()
    for (const place of [
      ...['9', '9:0', '9:0:', ':0:removal', '9::removal', 'x9:0:removal', '9:0:removal '],
      ...['9:0:ended', '9:0:0123456789abcdef', '9:0:0123456789abcdef:', '9:0:0123456789abcde:1'],
      ...['9:0:0123456789abcdeg:1', '9:0:0123456789abcdef:x', '-9:0:removal', '9:0.5:removal'],
      ...['12345678901234567:0:removal', '9:123456:removal', 7, null, ['9:0:removal']],
    ])
      expect([place, await codeOf(read(place))]).toEqual([place, 'BAD_CURSOR'])
  })

  test('takes every place that a log may have', async () => {
    const read = await reader()
    for (const mark of ['removal', '0123456789abcdef:9007199254740991'])
      expect(await read(`9007199254740991:12345:${mark}`)).toMatchObject({ turns: [] })
  })

  test('belongs to its entity and its LSN', async () => {
    const { s, sums, past } = await world()
    const { cursor: before = '' } = await past({ limit: 1 })
    expect(await codeOf(past({ before, atLsn: 9 }))).toBe('BAD_CURSOR')
    expect(await codeOf(s.during(sums().history('b', { before })))).toBe('BAD_CURSOR')
  })
})

test('a state that this program cannot use is shown as type and length, and revealed as it is stored', async () => {
  const { s } = await world()
  await s.close()
  const newer = { ...server, version: 2, migrate: () => expect.unreachable() }
  await s.start({ app: supervisor('app', {}, [entity('sum', newer)]) })
  const past = (options: PastOptions) =>
    s.during(s.app.entity<Messages, State>('sum').history('a', options))

  const { turns } = await past({ limit: 1 })
  expect(turns.map(({ state, changed }) => [state, changed])).toEqual([
    ['[hidden object of 2]', []],
  ])
  const revealed = await past({ limit: 1, reveal: true })
  expect(revealed.turns.map(({ state, changed }) => [state, changed])).toEqual([
    [{ total: 6, pin: 'canary' }, ['total']],
  ])
})

test('a difference hides what may not be shown, unless it is to reveal it', async () => {
  const hides = ({ state, ...parts }: { state?: State }) => ({
    ...parts,
    state: state && { total: state.total },
  })
  const { s, sums, past } = await world({}, { ...server, formatStatus: hides as never })
  const [newest] = (await past()).turns.map(({ lsn }) => lsn)
  const diff = (more?: { readonly reveal: boolean }) =>
    s.during(sums().diff('a', 1, newest as number, more))
  expect(await diff()).toEqual([{ path: '', after: { total: 6 } }])
  expect(await diff({ reveal: true })).toEqual([{ path: '', after: { total: 6, pin: 'canary' } }])
})

test('an error of a state that says nothing about its row ends the search', async () => {
  const { s, past } = await world()
  vi.spyOn(s.app.entities, 'tableOf').mockImplementation(() => {
    throw new KeelsonError('CLOSED', 'the instance is closing')
  })
  expect(await codeOf(past())).toBe('CLOSED')
})
