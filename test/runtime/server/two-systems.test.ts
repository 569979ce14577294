/** Two Systems in one program share nothing: what would tie their processes is refused. */
import { describe, expect, test } from 'vitest'
import {
  Registry,
  startChild,
  startSupervisor,
  startTaskSupervisor,
  supervisor,
  TaskSupervisor,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const refusal = { code: 'INVALID_ARGUMENT' }

const stage = async () => {
  const [here, there] = [testSystem().system, testSystem().system]
  const runner = await here.start(Runner.server, true)
  const stranger = await there.start(Runner.server, true, { label: 'stranger' })
  const caught = (work: Parameters<typeof Runner.run>[1]) =>
    Runner.run(runner, async (context) => {
      try {
        return await work(context)
      } catch (error) {
        return error
      }
    })
  return { here, there, runner, stranger, caught }
}

describe('a process of another System', () => {
  test('is not linked, unlinked, monitored or ended by a process', async () => {
    const { there, stranger, caught } = await stage()

    expect(await caught((context) => context.link(stranger))).toMatchObject(refusal)
    expect(await caught((context) => context.unlink(stranger))).toMatchObject(refusal)
    expect(await caught((context) => context.monitor(stranger))).toMatchObject(refusal)
    expect(await caught((context) => context.exit(stranger, 'kill'))).toMatchObject(refusal)
    expect(there.info(stranger)).toMatchObject({ links: [], monitoredBy: [] })
  })

  test('is not shown, watched or ended by a System', async () => {
    const { here, there, stranger } = await stage()
    const asked = [
      () => here.info(stranger),
      () => here.kill(stranger),
      () => here.exit(stranger, 'oops'),
      () => here.monitor(stranger, () => {}),
    ]

    for (const ask of asked) expect(ask).toThrow(expect.objectContaining(refusal))
    expect(there.info(stranger)).toBeDefined()
  })

  test('is not registered, and leaves nothing in the registry', async () => {
    const { there, caught } = await stage()
    const registry = await Registry.start<string, null>(there, { keys: 'unique' })

    expect(
      await caught((context) => Registry.register(context as never, registry, 'key', null)),
    ).toMatchObject(refusal)
    expect(Registry.count(registry)).toBe(0)
  })

  test('is no child of a supervisor, and runs no task of a process here', async () => {
    const { here, there, stranger, caught } = await stage()
    const top = await startSupervisor(here, supervisor('top', { strategy: 'one_for_one' }, []))
    const spec = { id: 'child', start: () => ({ ok: true as const, ref: stranger }) }
    const crew = await startTaskSupervisor(there)

    expect(await startChild(top, spec)).toMatchObject({ ok: false, reason: [refusal, spec] })
    expect(await caught((context) => TaskSupervisor.async(context, crew, () => 1))).toMatchObject(
      refusal,
    )
    expect(await TaskSupervisor.children(crew)).toEqual([])
  })

  test('takes messages, as from any other code', async () => {
    const { stranger, caught } = await stage()
    expect(await caught((context) => Runner.run(context.to(stranger), () => 'answer'))).toBe(
      'answer',
    )
  })
})
