/** The chunks of a source: who ends it, when, and who does not have to wait for it. */
import { describe, expect, test } from 'vitest'
import { chunksOf } from '../../../src/actors/store/stream-source.ts'

/** A source that counts how often it is ended. `silent`: it never answers the question for its third chunk. */
const sourceOf = ({ fails = false, silent = false } = {}) => {
  const world = { ended: 0 }
  const chunks = ['a', 'b']
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const value = chunks.shift()
        if (value !== undefined) return { done: false as const, value }
        if (fails) throw new Error('the source failed')
        if (silent) await new Promise(() => undefined)
        return { done: true as const, value: undefined }
      },
      return: async () => {
        world.ended++
        return { done: true as const, value: undefined }
      },
    }),
  }
  return { world, source }
}

/** Somebody who takes chunks until `leave` is called. */
const taker = () => {
  let told: ((reason: unknown) => void) | undefined
  return {
    watch: (tell: (reason: unknown) => void) => {
      told = tell
      return () => {
        told = undefined
      }
    },
    leave: () => told?.('gone'),
    get isWatched() {
      return told !== undefined
    },
  }
}

const read = async (chunks: AsyncIterable<unknown>): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const chunk of chunks) found.push(chunk)
  return found
}

describe('the chunks of a source', () => {
  test('are those of any iterable, and nobody ends a source that has ended', async () => {
    const { world, source } = sourceOf()
    const taking = taker()
    const chunks = chunksOf(source, taking.watch)
    await chunks.next()
    expect(taking.isWatched).toBe(true)
    expect(await read(chunks)).toEqual(['b'])
    expect(await read(chunksOf(['c', 'd'], taking.watch))).toEqual(['c', 'd'])
    expect([world.ended, taking.isWatched]).toEqual([0, false])
  })

  test('end with the failure of the source, which is not ended then', async () => {
    const { world, source } = sourceOf({ fails: true })
    await expect(read(chunksOf(source, taker().watch))).rejects.toThrow('the source failed')
    expect(world.ended).toBe(0)
  })

  test('that are not read to their end end the source, once', async () => {
    const { world, source } = sourceOf()
    for await (const chunk of chunksOf(source, taker().watch)) if (chunk === 'a') break
    expect(world.ended).toBe(1)
  })

  test('end when their reader leaves, before or while the source is asked', async () => {
    for (const silent of [false, true]) {
      const { world, source } = sourceOf({ silent })
      const { watch, leave } = taker()
      const chunks = chunksOf(source, watch)
      await chunks.next()
      if (silent) await chunks.next()
      const next = silent ? chunks.next() : undefined
      leave()
      await expect(next ?? chunks.next()).rejects.toBe('gone')
      expect(world.ended).toBe(1)
    }
  })
})
