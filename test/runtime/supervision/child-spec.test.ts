/** A specification or start function that is wrong is said to be so, and its supervisor goes on. */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  call,
  countChildren,
  dynamicSupervisor,
  type Strategy,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { telling, tree } from './telling-children.ts'

describe('a wrong specification', () => {
  test.each([
    ['r.strategy', () => supervisor('r', {} as { strategy: Strategy }, [])],
    ['r.intensity', () => supervisor('r', { strategy: 'one_for_one', intensity: -1 }, [])],
    ['r.periodMs', () => supervisor('r', { strategy: 'one_for_one', periodMs: 0 }, [])],
    ['a.shutdown', () => worker('a', telling([]), 'a', { shutdownMs: -5 })],
    ['a.restart', () => worker('a', telling([]), 'a', { restart: 'sometimes' as 'permanent' })],
    ['id', () => worker('', telling([]), 'a')],
    ['a', () => worker('a', telling([]), 'a', { timeoutMs: Number.NaN })],
    ['a.label', () => worker('a', telling([]), 'a', { label: 7 as never })],
    ['r.name', () => dynamicSupervisor('r', { name: 7 as never })],
    ['r.maxChildren', () => dynamicSupervisor('r', { maxChildren: -1 })],
  ])('is refused where it is written, with the path %s', (path, make) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
    )
  })

  const child = worker('a', telling([]), 'a')
  const significant = { restart: 'transient', significant: true } as const
  const never = [
    ['auto_shutdown', 'never'],
    ['significant', true],
  ]

  test.each<[string, ChildSpec[], unknown]>([
    ['two of one id', [child, child], ['duplicate_child_name', 'a']],
    [
      'a significant one without auto-shutdown',
      [{ ...child, ...significant }],
      ['bad_combination', never],
    ],
    [
      'a permanent significant one, where none may be significant',
      [{ ...child, significant: true }],
      ['bad_combination', never],
    ],
    ['no id', [{ ...child, id: '' }], 'missing_id'],
    ['no start', [{ ...child, start: 7 as never }], ['invalid_mfa', 7]],
    ['an unknown restart', [{ ...child, restart: 'x' as never }], ['invalid_restart_type', 'x']],
    ['an unknown kind', [{ ...child, kind: 'x' as never }], ['invalid_child_type', 'x']],
    ['half a millisecond', [{ ...child, shutdown: 0.5 }], ['invalid_shutdown', 0.5]],
    [
      'a significance that is none',
      [{ ...child, significant: 1 as never }],
      ['invalid_significant', 1],
    ],
  ])('among children ends the supervisor before any starts: %s', async (_, children, fault) => {
    const log: string[] = []
    const { system } = testSystem()
    const first = worker('first', telling(log), 'first')
    const root = supervisor('r', { strategy: 'one_for_one' }, [first, ...children])

    await expect(startSupervisor(system, root)).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['start_spec', fault] },
    })
    expect(log).toEqual([])
    expect(system.processes()).toEqual([])
  })

  test('of startChild is answered with its fault, and the supervisor lives', async () => {
    const { root } = await tree('one_for_one')
    const spec = worker('s', telling([]), 's', significant)

    const reason = ['bad_combination', never]
    expect(await startChild(root, spec)).toEqual({ ok: false, reason })
    expect((await countChildren(root)).specs).toBe(3)
  })

  test('of startDynamicChild is answered with its fault', async () => {
    const { system } = testSystem()
    const pool = await startDynamicSupervisor(system)

    const reason = ['invalid_shutdown', -1]
    const spec = { ...child, shutdown: -1 }
    expect(await startDynamicChild(pool, spec)).toEqual({ ok: false, reason })
    expect((await countChildren(pool)).specs).toBe(0)
  })
})

describe('a start function that answers no result of a start', () => {
  const alike = { ok: true, ref: { pid: 1, name: undefined } }

  test.each([undefined, null, 'started', {}, { ok: true }, { ok: 'yes' }, alike])(
    '%j, is a failed start, and its supervisor goes on',
    async (answer) => {
      const { system, clock, root, child } = await tree('one_for_one')
      const spec: ChildSpec = { id: 'odd', start: () => answer as never }

      const reason = ['bad_return_value', answer]
      expect(await startChild(root, spec)).toEqual({ ok: false, reason: [reason, spec] })
      const dynamic = await startDynamicSupervisor(system)
      expect(await startDynamicChild(dynamic, spec)).toEqual({ ok: false, reason })
      await clock.settle()

      expect(system.info(dynamic)).toBeDefined()
      expect(await call(await child('a'), 'app')).toBeUndefined()
      expect(await whichChildren(root)).toHaveLength(3)
    },
  )

  test('keeps its supervisor from starting', async () => {
    const { system } = testSystem()
    const odd: ChildSpec = { id: 'odd', start: () => undefined as never }

    await expect(
      startSupervisor(system, supervisor('root', { strategy: 'one_for_one' }, [odd])),
    ).rejects.toMatchObject({
      code: 'EXITED',
      details: {
        reason: ['shutdown', ['failed_to_start_child', 'odd', ['bad_return_value', undefined]]],
      },
    })
  })
})

test.each([null, undefined, 5, {}])(
  'what is no specification (%j) is answered by any supervisor, which goes on',
  async (spec) => {
    const { system } = testSystem()
    const reason = expect.objectContaining({ ok: false })
    const top = await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, []))
    const dynamic = await startDynamicSupervisor(system)
    expect(await startChild(top, spec as never)).toEqual(reason)
    expect(await startDynamicChild(dynamic, spec as never)).toEqual(reason)
    expect(await countChildren(dynamic)).toMatchObject({ specs: 0 })
  },
)
