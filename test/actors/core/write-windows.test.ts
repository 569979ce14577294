import { describe, expect, test } from 'vitest'
import { WriteWindows, windowsMax } from '../../../src/actors/core/write-windows.ts'
import { codeOf } from '../../support/error-codes.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

describe('windows of namespaces', () => {
  test('are absent by default, and can be set and removed', () => {
    const windows = new WriteWindows(new Map([['s', 5]]))
    windows.set('a', 10_000, 'me', 0)
    windows.set('_root', 1, 'me', 0)
    expect(windows.all()).toEqual({ _root: 1, a: 10_000, s: 5 })
    expect([windows.of('s'), windows.of('t')]).toEqual([5, 0])

    for (const namespace of ['s', 'a', '_root', 'never']) windows.set(namespace, 0, 'me', 0)
    expect([windows.isEmpty, windows.all()]).toEqual([true, {}])
  })

  test.each([
    ['s:', 5],
    ['s:a', 5],
    ['a\0', 5],
    ['\ud800', 5],
    ['x'.repeat(1_024), 5],
    [7, 5],
    ['s', 0.5],
    ['s', 10_001],
    ['s', -1],
    ['s', Number.NaN],
    ['s', '5'],
  ])('of %j with %j ms are refused, and nothing changes', (namespace, ms) => {
    const windows = new WriteWindows(new Map())

    expect(codeOf(() => windows.set(namespace as string, ms as number, 'me', 0))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(windows.isEmpty).toBe(true)
  })

  test('record author, namespace and time of each change, and keep the last hundred', () => {
    const windows = new WriteWindows(new Map([['s', 5]]))
    expect(windows.changes).toEqual([])
    windows.set('s', 7, 'app', 1_000)
    windows.set('s', 0, 'prompt', 2_000)
    expect(windows.changes).toEqual([
      { namespace: 's', ms: 7, by: 'app', at: 1_000 },
      { namespace: 's', ms: 0, by: 'prompt', at: 2_000 },
    ])

    for (let at = 0; at < 200; at++) windows.set('t', 1 + at, 'app', at)
    expect([windows.changes.length, windows.changes[0]?.at]).toEqual([100, 100])
  })

  test('are bounded in number; existing ones can still be changed', () => {
    const windows = new WriteWindows(new Map())
    for (let at = 0; at < windowsMax; at++) windows.set(`n${at}`, 1, 'me', 0)

    expect(codeOf(() => windows.set('one more', 1, 'me', 0))).toBe('INVALID_ARGUMENT')
    windows.set('n0', 7, 'me', 0)
    expect(windows.of('n0')).toBe(7)
  })
})

describe('an instance', () => {
  test.each([
    [{ batcher: { windows: { 's:': 5 } } }, 'batcher.windows.s:'],
    [{ batcher: { windows: { s: 0 } } }, 'batcher.windows.s'],
    [{ batcher: { windows: { s: 10_001 } } }, 'batcher.windows.s'],
    [{ batcher: { windows: [5] } }, 'batcher.windows'],
    [{ batcher: { windows: null } }, 'batcher.windows'],
    [{ batcher: { windows: { '\ud800': 5 } } }, 'batcher.windows.\ud800'],
    [{ wal: { minDurable: null } }, 'wal.minDurable'],
    [{ batcher: { maxCommands: 0 } }, 'batcher.maxCommands'],
    [{ batcher: { maxCommands: 65_536 } }, 'batcher.maxCommands'],
    [{ batcher: { maxBytes: 1 } }, 'batcher.maxBytes'],
    [{ batcher: { typo: 1 } }, 'batcher.typo'],
    [{ admission: { bytes: 1 } }, 'admission.bytes'],
    [{ admission: { commands: 0 } }, 'admission.commands'],
    [{ wal: { queueCommands: 0 } }, 'wal.queueCommands'],
  ])('refuses to start with %j', async (options, path) => {
    const { start } = machine()

    await expect(start(options as object)).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path },
    })
  })

  test('refuses an author of a change that is not well-formed text', async () => {
    const app = await machine().start()

    for (const by of ['\ud800', '', 7 as never])
      expect(codeOf(() => app.batcher.setWindow('s', 5, { by }))).toBe('INVALID_ARGUMENT')
    expect(app.batcher.changes()).toEqual([])
  })

  test('accepts a write larger than every bound, in a group of its own', async () => {
    const { during, app } = await started({
      wal: { queueBytes: 256, queueCommands: 1 },
      admission: { bytes: 256, commands: 1 },
      batcher: { maxBytes: 256, maxCommands: 1, windows: { s: 1 } },
    })
    const entries = Array.from({ length: 20 }, (_, at) => [`s:${at}`, 'x'.repeat(100)] as const)

    await during(Promise.all([app.store.putMany(entries), app.store.put('s:last', 1)]))

    expect(app.store.get('s:19')).toBe('x'.repeat(100))
    expect(app.store.get('s:last')).toBe(1)
  })
})
