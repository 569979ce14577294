/**
 * What every engine promises of a log: the part of `cluster-engine.contract.ts` about groups, claims and snapshots of one log,
 * and the words that both parts are written in.
 */
import { expect } from 'vitest'
import {
  type ClusterEngine,
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  type EnginePosition,
  type EngineSession,
  engineStart,
  isSamePosition,
} from '../../src/storage/index.ts'

/** An engine, and sessions of it that lose answers. */
export type EngineUnderTest = {
  readonly engine: ClusterEngine
  /** A session, and the order to lose the answer to the next request: it takes effect. */
  readonly lossy: (cluster: string) => Promise<{ session: EngineSession; loseNext: () => void }>
}

/** A text as bytes. */
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))
const textOf = ({ bytes }: EngineGroup): string => Buffer.from(bytes).toString()

/** A group behind `after` of so many frames. */
export const groupBehind = (
  after: EnginePosition,
  text: string,
  { epoch = after.epoch, frames = 1, provenLsn = after.lsn } = {},
): EngineGroup => ({
  after,
  end: { epoch, lsn: after.lsn + frames, id: `${epoch}-${text}` },
  provenLsn,
  bytes: bytesOf(text),
})

/** Groups behind `after`, each behind the one before. */
const chainBehind = (after: EnginePosition, ...texts: readonly string[]): EngineGroup[] => {
  const groups: EngineGroup[] = []
  for (const text of texts) groups.push(groupBehind(groups.at(-1)?.end ?? after, text))
  return groups
}

const endOf = (groups: readonly EngineGroup[]): EnginePosition => groups.at(-1)?.end ?? engineStart

/** Appends groups one after another. */
const appendAll = async (log: EngineLog, groups: readonly EngineGroup[]): Promise<void> => {
  for (const group of groups) await log.append(group)
}

/** Takes a log over, as a new owner does. */
const claimed = async (log: EngineLog, epoch: number): Promise<EnginePosition> => {
  const { end } = await log.head()
  const group = groupBehind(end, 'epoch', { epoch })
  await log.append(group)
  return group.end
}

/** All groups behind an LSN, read in many pieces. */
const allOf = async (log: EngineLog, after = 0, maxBytes = 8): Promise<EngineGroup[]> => {
  const found: EngineGroup[] = []
  for (let next = after; ; ) {
    const reading = await log.read(next, maxBytes)
    found.push(...reading.groups)
    if (reading.groups.length === 0) return found
    next = reading.next
  }
}

/** The texts of all groups. */
export const textsOf = async (log: EngineLog): Promise<string[]> => (await allOf(log)).map(textOf)

/** How an append ended: `ok`, or the code of its refusal. */
export const outcomeOf = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  )

/** Two members of a cluster of their own. */
export const members = async ({ engine }: EngineUnderTest) => {
  const cluster = `c-${crypto.randomUUID()}`
  const [one, other] = [
    await engine.open({ cluster, copies: 1 }),
    await engine.open({ cluster, copies: 1 }),
  ]
  return { cluster, one, other }
}

/** A log of epoch 1 with its owner's and an intruder's handle. */
export const owned = async (under: EngineUnderTest) => {
  const { cluster, one, other } = await members(under)
  const [owner, intruder] = [one.log('0'), other.log('0')]
  await owner.create('log-1')
  const at = await claimed(owner, 1)
  return { cluster, one, other, owner, intruder, at }
}

/** The claims about a log. Each gets an engine, and rejects if the engine breaks the claim. */
export const logClaims: Readonly<Record<string, (under: EngineUnderTest) => Promise<void>>> = {
  'a new log is empty, and keeps the id that it was made with': async (under) => {
    const { one, other } = await members(under)
    expect(await outcomeOf(one.log('0').head())).toBe('NO_SEGMENTS')

    const made = await one.log('0').create('first')

    const empty = { trimmed: { lsn: 0, mark: '' }, snapshots: [], features: 0 }
    expect(made).toEqual({ logId: 'first', end: engineStart, ...empty })
    expect(await other.log('0').create('second')).toEqual(made)
    expect(await other.log('0').head()).toEqual(made)
    expect(await textsOf(other.log('0'))).toEqual([])
    expect(await outcomeOf(other.log('1').head())).toBe('NO_SEGMENTS')
  },

  'groups are read back by every member as they were appended': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const large = { ...groupBehind(at, 'large', { frames: 7 }), bytes: new Uint8Array(1 << 20) }
    for (let index = 0; index < large.bytes.length; index++) large.bytes[index] = index * 31
    const rest = chainBehind(large.end, 'a', '', 'é')
    await appendAll(owner, [large, ...rest])

    const found = await allOf(intruder, at.lsn)

    expect(found.map(({ bytes, ...group }) => ({ ...group, bytes: bytes.length }))).toEqual(
      [large, ...rest].map(({ bytes, ...group }) => ({ ...group, bytes: bytes.length })),
    )
    expect(Buffer.compare(found[0]?.bytes ?? new Uint8Array(), large.bytes)).toBe(0)
    expect((await intruder.head()).end).toEqual(endOf(rest))
    // From the middle of a group, the whole group.
    expect((await intruder.read(at.lsn + 3, 1)).groups.map(({ end }) => end)).toEqual([large.end])
    expect(await intruder.read(endOf(rest).lsn, 1)).toEqual({ groups: [], next: endOf(rest).lsn })
  },

  'a repeat of an append under its id changes nothing and is acknowledged': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c')
    await appendAll(owner, groups)

    for (const group of [...groups, ...groups]) await owner.append(group)

    expect(await textsOf(intruder)).toEqual(['epoch', 'a', 'b', 'c'])
  },

  'another group at a place that is taken is refused, also by the same owner': async (under) => {
    const { owner, at } = await owned(under)
    const first = groupBehind(at, 'first')
    await owner.append(first)

    for (const other of [
      groupBehind(at, 'second'),
      groupBehind({ ...first.end, id: 'another' }, 'second'),
      groupBehind({ ...first.end, lsn: 1 }, 'second', { frames: 5 }),
    ]) {
      const refused = owner.append(other)
      await expect(refused).rejects.toMatchObject({
        code: 'CONFLICT',
        details: { head: { end: first.end } },
      })
    }

    expect(await textsOf(owner)).toEqual(['epoch', 'first'])
  },

  'a group that lacks the one before it is refused, and taken behind it': async (under) => {
    const { owner, at } = await owned(under)
    const [first, second] = chainBehind(at, 'a', 'b') as [EngineGroup, EngineGroup]

    expect(await outcomeOf(owner.append(second))).toBe('CONFLICT')
    await appendAll(owner, [first, second])

    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'b'])
    expect(await outcomeOf(owner.append({ ...second, end: second.after }))).toBe('INVALID_ARGUMENT')
  },

  'an owner that rests ends no change that was asked for, and makes others later': async (
    under,
  ) => {
    const { owner, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c', 'd')
    const before = appendAll(owner, groups.slice(0, 1))
    const rests = owner.rest()
    await Promise.all([before, rests])
    await Promise.all([owner.rest(), owner.rest()])
    await appendAll(owner, groups.slice(1))

    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'b', 'c', 'd'])
  },

  'an append whose answer is lost took effect once, and its repeat says so': async (under) => {
    const { cluster, intruder, at } = await owned(under)
    const { session, loseNext } = await under.lossy(cluster)
    const owner = session.log('0')
    const [first, second] = chainBehind(at, 'a', 'b') as [EngineGroup, EngineGroup]
    await owner.head()

    loseNext()
    expect(await outcomeOf(owner.append(first))).toBe('UNKNOWN_OUTCOME')
    await appendAll(owner, [first, second])

    expect(await textsOf(intruder)).toEqual(['epoch', 'a', 'b'])
  },

  'appends that do not wait for each other are taken in their order': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, ...Array.from({ length: 20 }, (_, index) => `g${index}`))

    await Promise.all(groups.map((group) => owner.append(group)))

    expect(await allOf(intruder, at.lsn)).toEqual(groups)
  },

  'an owner with several groups in flight writes none of them once an intruder has one slot':
    async (under) => {
      const { owner, intruder, at } = await owned(under)
      const groups = chainBehind(at, 'a', 'b', 'c', 'd')
      const claim = groupBehind(at, 'epoch 2', { epoch: 2 })

      await intruder.append(claim)
      const outcomes = await Promise.all(groups.map((group) => outcomeOf(owner.append(group))))

      expect(outcomes).toEqual(['FENCED', 'FENCED', 'FENCED', 'FENCED'])
      expect(await textsOf(owner)).toEqual(['epoch', 'epoch 2'])
    },

  'an intruder in the same epoch stops the groups in flight too': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c')

    await intruder.append(groupBehind(at, 'other'))
    const outcomes = await Promise.all(groups.map((group) => outcomeOf(owner.append(group))))

    expect(outcomes).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT'])
    expect(await textsOf(owner)).toEqual(['epoch', 'other'])
  },

  'of an owner and an intruder who race, the log has what was acknowledged, and no more': async (
    under,
  ) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c', 'd', 'e', 'f')

    const appended = Promise.all(groups.map((group) => outcomeOf(owner.append(group))))
    const claims: string[] = []
    while (claims.at(-1) !== 'ok') claims.push(await outcomeOf(claimed(intruder, 2)))
    const outcomes = await appended

    const count = outcomes.filter((outcome) => outcome === 'ok').length
    expect(outcomes).toEqual(groups.map((_, index) => (index < count ? 'ok' : 'FENCED')))
    expect(claims.slice(0, -1).every((outcome) => outcome === 'CONFLICT')).toBe(true)
    expect(await textsOf(intruder)).toEqual([
      ...['epoch', ...groups.slice(0, count).map(textOf), 'epoch'],
    ])
  },

  'a claim must know the end of the log, and one of two claims is fenced': async (under) => {
    const { owner, intruder, at } = await owned(under)
    await owner.append(groupBehind(at, 'a'))

    const late = intruder.append(groupBehind(at, 'too late', { epoch: 2 }))
    await expect(late).rejects.toMatchObject({ code: 'CONFLICT' })
    const { end } = await intruder.head()
    const [one, other] = ['one', 'other'].map((text) => groupBehind(end, text, { epoch: 2 }))
    await intruder.append(one as EngineGroup)

    expect(await outcomeOf(owner.append(other as EngineGroup))).toBe('FENCED')
    expect(await outcomeOf(owner.append(groupBehind(end, 'three', { epoch: 3 })))).toBe('CONFLICT')
    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'one'])
  },

  'a fenced owner is told nothing as acknowledged, also what took effect before': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const group = groupBehind(at, 'a')
    await owner.append(group)
    const end = await claimed(intruder, 2)

    await expect(owner.append(group)).rejects.toMatchObject({
      code: 'FENCED',
      details: { head: { end } },
    })

    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'epoch'])
  },

  'a mark has no frames, and says what was proven': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const group = groupBehind(at, 'a', { provenLsn: at.lsn })
    await owner.append(group)

    await owner.append(groupBehind(group.end, '', { provenLsn: group.end.lsn }))

    const proven = (await allOf(intruder, at.lsn)).map(({ provenLsn }) => provenLsn)
    expect(proven).toEqual([at.lsn, group.end.lsn])
  },

  'a reader beside the owner sees every group once and in order': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, ...Array.from({ length: 30 }, (_, index) => `g${index}`))
    const found: EngineGroup[] = []

    const reading = (async () => {
      for (let after = at.lsn; after < endOf(groups).lsn; ) {
        const { groups: some, next } = await intruder.read(after, 10)
        found.push(...some)
        after = next
      }
    })()
    await appendAll(owner, groups)
    await reading

    expect(found).toEqual(groups)
    expect(
      found.every(({ after }, index) => isSamePosition(after, found[index - 1]?.end ?? at)),
    ).toBe(true)
  },

  'features of a log add up, and stay': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const [first, second, third] = chainBehind(at, 'a', 'b', 'c') as EngineGroup[]

    await owner.append(first as EngineGroup, 1)
    await owner.append(second as EngineGroup, 4)
    await owner.append(third as EngineGroup)

    expect((await intruder.head()).features).toBe(5)
  },

  'the log is trimmed only behind a named snapshot, and keeps the mark': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c', 'd')
    await appendAll(owner, groups)
    expect(await outcomeOf(owner.trim(1, 2, 'x'))).toBe('INVALID_ARGUMENT')
    for (const lsn of [2, 3, 3, 4]) await owner.name(1, { lsn, file: `s${lsn}` })
    expect(await outcomeOf(owner.name(1, { lsn: 9, file: 'beyond' }))).toBe('INVALID_ARGUMENT')
    expect(await outcomeOf(owner.name(1, { lsn: 2, file: 'older' }))).toBe('INVALID_ARGUMENT')

    expect(await outcomeOf(owner.trim(1, 4, 'x'))).toBe('INVALID_ARGUMENT')
    await owner.trim(1, 3, 'the mark')
    await owner.trim(1, 2, 'no more')

    const head: EngineHead = await intruder.head()
    expect(head.trimmed).toEqual({ lsn: 3, mark: 'the mark' })
    expect(head.snapshots.map(({ file }) => file)).toEqual(['s3', 's4'])
    expect((await allOf(intruder, 3)).map(textOf)).toEqual(['c', 'd'])
    expect(await outcomeOf(intruder.read(2, 1))).toBe('BAD_CURSOR')
    await owner.append(groupBehind(endOf(groups), 'e'))
    expect((await allOf(intruder, 3)).map(textOf)).toEqual(['c', 'd', 'e'])
  },

  'a log is surveyed and salvaged to its end, and goes on from where it is cut': async (under) => {
    const { owner, intruder, at } = await owned(under)
    const groups = chainBehind(at, 'a', 'b', 'c', 'd')
    await appendAll(owner, groups)
    const head = await owner.head()
    let surveyed = 0
    while (surveyed < head.end.lsn) surveyed = await intruder.survey(surveyed)
    expect(surveyed).toBe(head.end.lsn)
    expect((await intruder.salvage(1, 1)).groups.map(textOf)).toEqual(['a'])
    expect((await intruder.salvage(1, 1_000)).groups.map(textOf)).toEqual(['a', 'b', 'c', 'd'])
    expect((await intruder.salvage(5, 1_000)).next).toBe(5)

    const cut = { ...head, end: groups[1]?.end ?? engineStart }
    await intruder.replace(head, cut)

    expect(await owner.head()).toEqual(cut)
    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'b'])
    expect(await outcomeOf(intruder.replace(head, cut))).toBe('CONFLICT')
    await owner.append(groupBehind(cut.end, 'again'))
    expect(await textsOf(owner)).toEqual(['epoch', 'a', 'b', 'again'])
  },

  'a fenced owner names no snapshot and trims nothing': async (under) => {
    const { owner, intruder, at } = await owned(under)
    await owner.append(groupBehind(at, 'a'))
    await owner.name(1, { lsn: 2, file: 's2' })
    await claimed(intruder, 2)

    expect(await outcomeOf(owner.name(1, { lsn: 2, file: 'new' }))).toBe('FENCED')
    expect(await outcomeOf(owner.trim(1, 2, 'x'))).toBe('FENCED')

    expect(await textsOf(intruder)).toEqual(['epoch', 'a', 'epoch'])
  },
}
