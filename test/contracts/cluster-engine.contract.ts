/**
 * What every engine promises its members, the log in `engine-log.contract.ts`: over a PostgreSQL server and in the simulated
 * engine, so that what is proved in simulations holds on a server. Each claim is a function by its name, so that engines that
 * break a promise can be shown to fail.
 */
import { describe, expect, test } from 'vitest'
import type { EngineSession } from '../../src/storage/index.ts'
import {
  bytesOf,
  type EngineUnderTest,
  groupBehind,
  logClaims,
  members,
  outcomeOf,
  owned,
  textsOf,
} from './engine-log.contract.ts'

const contentOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const piece of pieces) parts.push(piece)
  return Buffer.concat(parts)
}

/** The claims of the contract. Each gets an engine, and rejects if the engine breaks the claim. */
export const engineClaims: Readonly<Record<string, (under: EngineUnderTest) => Promise<void>>> = {
  ...logClaims,

  'an entry of the directory changes only from the revision that its writer saw': async (under) => {
    const { one, other } = await members(under)
    const [ours, theirs] = [one.directory, other.directory]
    expect((await theirs.view()).entries.size).toBe(0)

    const first = await ours.set('shard/0', 0, 'a')
    expect(await outcomeOf(theirs.set('shard/0', 0, 'b'))).toBe('CONFLICT')
    const second = await theirs.set('shard/0', first, 'b')
    await expect(ours.set('shard/0', first, 'c')).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { revision: second },
    })
    const both = await Promise.all(
      ['d', 'e'].map((value, at) => outcomeOf((at ? ours : theirs).set('shard/0', second, value))),
    )

    expect(both.sort()).toEqual(['CONFLICT', 'ok'])
    const { entries, revision } = await ours.view()
    expect([...entries.keys()]).toEqual(['shard/0'])
    expect(entries.get('shard/0')?.revision).toBe(revision)
    expect(revision).toBeGreaterThan(second)
  },

  'a removed entry is gone, the directory has a later revision, and it can be set anew': async (
    under,
  ) => {
    const { one, other } = await members(under)
    const first = await one.directory.set('a', 0, '1')
    const waiting = other.directory.moved(first)

    await one.directory.set('a', first)
    await waiting

    const { entries, revision } = await other.directory.view()
    expect(entries.size).toBe(0)
    expect(revision).toBeGreaterThan(first)
    expect(await outcomeOf(one.directory.set('a', first))).toBe('CONFLICT')
    expect(await other.directory.set('a', 0, '2')).toBeGreaterThan(revision)
  },

  'a lease that is renewed has another revision, one that is not keeps it': async (under) => {
    const { one, other } = await members(under)
    const renewed = await one.directory.set('lease/a', 0, 'same')
    const left = await one.directory.set('lease/b', 0, 'same')

    const again = await one.directory.set('lease/a', renewed, 'same')

    expect(again).toBeGreaterThan(left)
    const { entries } = await other.directory.view()
    expect(entries.get('lease/a')).toEqual({ value: 'same', revision: again })
    expect(entries.get('lease/b')).toEqual({ value: 'same', revision: left })
  },

  'a file is there when it is whole, and every member reads it': async (under) => {
    const { one, other } = await members(under)
    const parts = [bytesOf('abc'), new Uint8Array(), bytesOf('defg'), new Uint8Array(70_000)]
    async function* inParts() {
      for (const part of parts) {
        expect(await other.files.size('s/1')).toBeUndefined()
        yield part
      }
    }

    expect(await one.files.put('s/1', inParts())).toEqual({ size: 70_007 })
    await one.files.put('s/0', [])

    expect(await other.files.size('s/1')).toBe(70_007)
    expect(await contentOf(other.files.read('s/1'))).toEqual(Buffer.concat(parts))
    expect((await contentOf(other.files.read('s/1', 2, 5))).toString()).toBe('cde')
    expect((await contentOf(other.files.read('s/0'))).length).toBe(0)
    expect(await other.files.list('s/')).toEqual(['s/0', 's/1'])
    expect(await other.files.list('S/')).toEqual([])
    for (let times = 0; times < 2; times++) await other.files.remove('s/1')
    expect(await one.files.list('')).toEqual(['s/0'])
    expect(await outcomeOf(contentOf(one.files.read('s/1')))).toBe('CORRUPT')
  },

  'a file of many parts is read whole, and from any byte up to any other': async (under) => {
    const { one, other } = await members(under)
    const parts = Array.from({ length: 50 }, (_, at) => Buffer.alloc(7 * at + 1, at))
    const whole = Buffer.concat(parts)
    await one.files.put("it's/$1", parts)

    expect(await contentOf(other.files.read("it's/$1"))).toEqual(whole)
    const ranges = [
      [0, 1],
      [1, 8],
      [500, 501],
      [333, 8_000],
      [8_624, whole.length],
      [whole.length - 1, undefined],
      [whole.length, undefined],
      [3, 1e9],
    ] as const
    for (const [from, to] of ranges)
      expect(await contentOf(other.files.read("it's/$1", from, to)), `${from} to ${to}`).toEqual(
        whole.subarray(from, to),
      )
  },

  'a file that cannot be read to its end is not kept': async (under) => {
    const { one } = await members(under)
    function* broken() {
      yield bytesOf('abc')
      throw new Error('it cannot be read')
    }

    await expect(one.files.put('s', broken())).rejects.toThrow('it cannot be read')

    expect(await one.files.size('s')).toBeUndefined()
    await one.files.put('s', [bytesOf('whole')])
    expect((await contentOf(one.files.read('s'))).toString()).toBe('whole')
  },

  'a file may be put again as it is, and never changes': async (under) => {
    const { one, other } = await members(under)
    await one.files.put('s', [bytesOf('ab'), bytesOf('c')])

    await other.files.put('s', [bytesOf('a'), bytesOf('bc')])
    expect(await outcomeOf(other.files.put('s', [bytesOf('abd')]))).toBe('CONFLICT')

    expect((await contentOf(one.files.read('s'))).toString()).toBe('abc')
  },

  'a file whose answer is lost is there, whole, and is so after its repeat': async (under) => {
    const { cluster, other } = await members(under)
    const { session, loseNext } = await under.lossy(cluster)
    const parts = [bytesOf('abc'), new Uint8Array(300_000)]
    await session.files.size('s')

    loseNext()
    expect(await outcomeOf(session.files.put('s', parts))).toBe('UNKNOWN_OUTCOME')
    const unanswered = await contentOf(other.files.read('s'))
    await session.files.put('s', parts)

    expect(unanswered).toEqual(Buffer.concat(parts))
    expect(await contentOf(other.files.read('s'))).toEqual(unanswered)
  },

  'two writers of one file do not mix': async (under) => {
    const { one, other } = await members(under)
    async function* pieces(text: string) {
      for (const each of text) {
        await one.files.size('s')
        yield bytesOf(each)
      }
    }

    const outcomes = await Promise.all([
      outcomeOf(one.files.put('s', pieces('aaaa'))),
      outcomeOf(other.files.put('s', pieces('bbbb'))),
    ])

    expect(outcomes.sort()).toEqual(['CONFLICT', 'ok'])
    expect(['aaaa', 'bbbb']).toContain((await contentOf(one.files.read('s'))).toString())
  },

  'clusters do not see each other': async (under) => {
    const [{ one }, { one: stranger }] = [await members(under), await members(under)]
    await one.log('0').create('log-1')
    await one.directory.set('a', 0, '1')
    await one.files.put('s', [])

    expect(await outcomeOf(stranger.log('0').head())).toBe('NO_SEGMENTS')
    expect((await stranger.directory.view()).entries.size).toBe(0)
    expect(await stranger.files.list('')).toEqual([])
  },

  'a closed session answers nothing': async (under) => {
    const { one, owner, intruder, at } = await owned(under)

    await one.close()

    expect(await outcomeOf(owner.append(groupBehind(at, 'a')))).toBe('UNKNOWN_OUTCOME')
    expect(await outcomeOf(one.directory.view())).toBe('UNKNOWN_OUTCOME')
    expect(await textsOf(intruder)).toEqual(['epoch'])
  },
}

/** The same engine, and `close`, which ends all sessions of it. */
const closing = (under: EngineUnderTest): EngineUnderTest & { close(): Promise<unknown> } => {
  const opened: EngineSession[] = []
  const { description } = under.engine
  return {
    engine: {
      description,
      open: async (options) => {
        const session = await under.engine.open(options)
        opened.push(session)
        return session
      },
    },
    lossy: async (cluster) => {
      const lossy = await under.lossy(cluster)
      opened.push(lossy.session)
      return lossy
    },
    close: () => Promise.all(opened.map((session) => session.close())),
  }
}

/** Describes the contract for one engine, which is there when the tests run. */
export const engineContract = (under: () => EngineUnderTest): void => {
  describe('keeps the contract of engines:', () => {
    for (const [claim, holds] of Object.entries(engineClaims))
      test(claim, async () => {
        const { close, ...engine } = closing(under())
        await holds(engine).finally(close)
      })
  })
}
