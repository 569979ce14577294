/** What an instance knows of its actors: the kinds that run, and the logs that earlier incarnations have left. */
import { describe, expect, test } from 'vitest'
import { Entities, expectKind } from '../../../src/actors/entities/entities.ts'
import { testSystem } from '../../../src/testing/index.ts'

const stage = () => {
  const { system, settle } = testSystem()
  const parts = { isClosing: () => false, isStoreAlone: false, scanTurns: () => undefined }
  const entities = new Entities(system, 'i', [], parts as never)
  return { entities, settle }
}

/** A log of an incarnation that has ended; `drain` decides all that it waits for. */
const undecided = (isEmpty = false) => {
  let drain = (): void => {}
  const drained = new Promise<void>((resolve) => {
    drain = resolve
  })
  return { log: { isEmpty, drained: () => drained }, drain }
}

describe('a new incarnation of an actor', () => {
  test('waits until every log of earlier ones is decided, in whatever order, and for no other actor', async () => {
    const { entities, settle } = stage()
    const [one, other] = [undecided(), undecided()]
    entities.ended('n/a', one.log)
    entities.ended('n/a', other.log)
    let isDecided = false
    void entities.decided('n/a')?.then(() => {
      isDecided = true
    })
    expect(entities.decided('n/b')).toBeUndefined()

    one.drain()
    await settle()
    expect([isDecided, entities.decided('n/a') === undefined]).toEqual([false, false])
    other.drain()
    await settle()
    expect([isDecided, entities.decided('n/a')]).toEqual([true, undefined])
  })

  test('waits for nothing if the earlier one left nothing undecided', () => {
    const { entities } = stage()
    entities.ended('n/a', undecided(true).log)
    expect(entities.decided('n/a')).toBeUndefined()
  })
})

describe('a kind', () => {
  test('that never ran is INVALID_ARGUMENT with the kinds that did; one that restarts is NO_PROCESS', () => {
    const { entities } = stage()
    const found = (kind: string) => expectKind(entities, kind)
    const unknown = (expected: string) => ({
      code: 'INVALID_ARGUMENT',
      details: { path: 'kind', expected, found: '"other"' },
    })
    expect(() => found('other')).toThrow(expect.objectContaining(unknown('one of the tree')))
    const running = { table: {}, blocked: new Map() } as never
    const [ends] = ['n', 'm'].map((kind) => entities.runs(kind, running))
    expect(() => found('other')).toThrow(expect.objectContaining(unknown('one of n, m')))
    expect(found('n')).toBe(running)
    ends?.()
    const away = { code: 'NO_PROCESS', details: { kind: 'n', reason: 'noproc' } }
    expect(() => found('n')).toThrow(expect.objectContaining(away))
    expect(entities.kinds).toEqual(['m'])
  })

  test('runs once at a time, and is known from its first run on', () => {
    const { entities } = stage()
    const running = { table: {}, blocked: new Map() } as never
    const told: number[] = []
    const untold = entities.onRuns(() => told.push(1))
    expect([entities.knows('n'), entities.kind('n')]).toEqual([false, undefined])
    const ends = entities.runs('n', running)
    expect(() => entities.runs('n', running)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
    expect([entities.knows('n'), entities.kind('n') === running]).toEqual([true, true])
    ends()
    expect([entities.knows('n'), entities.kind('n')]).toEqual([true, undefined])
    untold()
    const endsAgain = entities.runs('n', { table: {} } as never)
    // The end of an earlier run does not end a later one.
    ends()
    expect([told, entities.kind('n') === undefined]).toEqual([[1], false])
    endsAgain()
  })
})
