/** A supervisor starts, restarts, ends and counts its children as OTP’s does. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  countChildren,
  createSystem,
  type GenServer,
  name,
  type Ref,
  startSupervisor,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'
import { type Messages, telling, tree } from './telling-children.ts'

describe('a supervisor', () => {
  test('counts and announces restarts, and gives up with shutdown', async () => {
    const { system, clock, child, root } = await tree('one_for_one', { intensity: 2 })
    const events: unknown[] = []
    system.events.on('process.restarted', ({ id, restarts }) => events.push([id, restarts]))
    system.events.on('supervisor.gave_up', ({ id }) => events.push(['gave up', id]))
    const ends: unknown[] = []
    system.monitor(root, (reason) => ends.push(reason))

    for (let crashes = 1; crashes <= 2; crashes++) {
      cast(await child('b'), 'crash')
      await clock.settle()
      expect(system.info(await child('b'))?.restarts).toBe(crashes)
    }
    cast(await child('b'), 'crash')
    await clock.settle()

    expect(events).toEqual([
      ['b', 1],
      ['b', 2],
      ['gave up', 'b'],
    ])
    expect(ends).toEqual(['shutdown'])
    expect(system.processes()).toEqual([])
  })

  test('tells the log how a child really ended that it found dead', async () => {
    const lines: string[] = []
    const write = (line: string): void => void lines.push(line)
    const clock = virtualClock()
    const system = createSystem({ clock, logger: { error: write, warn: () => {}, info: write } })
    const spec = supervisor(
      'root',
      { strategy: 'one_for_all' },
      ['a', 'b'].map((id) => worker(id, telling([]), id)),
    )
    const root = await startSupervisor(system, spec)
    const refs = (await whichChildren(root)).map(({ ref }) => ref as Ref)

    for (const ref of refs) system.kill(ref)
    await clock.settle()

    expect(lines).toEqual(['a was ended: killed'])
    expect((await countChildren(root)).active).toBe(2)
  })

  test('counts a child that has ended as not active, before it learns of that end or without it', async () => {
    const loose: GenServer<Record<never, never>, null> = {
      init: (_, context) => {
        if (context.parent) context.unlink(context.parent)
        return null
      },
    }
    const log: string[] = []
    const children = [worker('a', telling(log), 'a'), worker('loose', loose)]
    const { system, clock, child, root } = await tree('one_for_one', {}, children)
    const [linked, unlinked] = [await child('a'), await child('loose')]

    const counted = countChildren(root)
    system.kill(linked)
    expect(await counted).toMatchObject({ specs: 2, active: 1 })

    system.kill(unlinked)
    await clock.settle()
    expect(await countChildren(root)).toMatchObject({ specs: 2, active: 1 })
    expect(await child('loose')).toBe(unlinked)
  })

  test('hands app down to everything below; the nearest value wins', async () => {
    const { root } = await tree('one_for_one', { app: 'outer' }, [
      worker('own', telling([]), 'own', { app: 'inner' }),
      supervisor('sub', { strategy: 'one_for_one' }, [
        worker('deep', telling([]), 'deep', { name: name<Messages>('deep') }),
      ]),
    ])
    const [sub, own] = await whichChildren(root)
    const [deep] = await whichChildren(sub?.ref as typeof root)

    expect(await call(own?.ref as Ref<Messages>, 'app')).toBe('inner')
    expect(await call(deep?.ref as Ref<Messages>, 'app')).toBe('outer')
  })

  test('that cannot start leaves nothing behind and says which child failed', async () => {
    const { system } = testSystem()
    const log: string[] = []
    const refusing: GenServer<Messages, string, string> = {
      ...telling(log),
      init: () => {
        throw new Error('refused')
      },
    }
    const spec = supervisor('root', { strategy: 'one_for_one' }, [
      worker('a', telling(log), 'a'),
      worker('b', refusing, 'b'),
    ])

    await expect(startSupervisor(system, spec)).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['shutdown', ['failed_to_start_child', 'b', { message: 'refused' }]] },
    })
    expect(log).toEqual(['+a', '-a'])
    expect(system.processes()).toEqual([])
  })
})
