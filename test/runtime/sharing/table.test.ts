/** Tables: reading, writing and its protection, owners, heirs, and the keeper of tables. */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  type Context,
  call,
  type GenServer,
  name,
  noReply,
  type Ref,
  reply,
  startSupervisor,
  supervisor,
  Table,
  type TableHeir,
  type TableOptions,
  tableKeeper,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = { calls: { run: (work: (context: Context<Messages>) => unknown) => unknown } }
type Member = Ref<Messages>

const member: GenServer<Messages, null> = {
  init: () => null,
  calls: {
    run: (state, work, context) => {
      try {
        return reply(work(context), state)
      } catch (error) {
        context.from.fail(error)
        return noReply(state)
      }
    },
  },
}

const run = <T>(who: Member, work: (context: Context<Messages>) => T): Promise<T> =>
  call(who, 'run', work) as Promise<T>

const world = async (options: TableOptions<unknown, unknown> = {}) => {
  const { system, clock, probe } = testSystem()
  const [owner, other] = [await system.start(member), await system.start(member)]
  const table = await run(owner, (context) => Table.create(context, options))
  const write = (key: unknown, value: unknown) =>
    run(owner, (context) => table.insert(context, key, value))
  return { system, clock, probe, owner, other, table, write }
}

/** The code of what `work` throws. */
const codeOf = (work: () => unknown): unknown => {
  try {
    work()
  } catch (error) {
    return isKeelsonError(error) ? error.code : error
  }
  return undefined
}

describe('a table', () => {
  test('is read by anybody at once, also outside of processes', async () => {
    const { table, write, other } = await world()
    await write('tea', 3)
    await write(['a', 1], 'compound')
    await write('tea', 4)

    expect([table.get('tea'), table.has('tea'), table.get('ale'), table.has('ale')]).toEqual([
      ...[4, true, undefined, false],
    ])
    expect(await run(other, () => table.get(['a', 1]))).toBe('compound')
    expect([table.size, [...table.keys()], [...table]]).toEqual([
      2,
      ['tea', ['a', 1]],
      [
        ['tea', 4],
        [['a', 1], 'compound'],
      ],
    ])
  })

  test('tells new keys from old ones, takes, deletes and clears', async () => {
    const { table, owner } = await world()
    const seen = await run(owner, (context) => [
      table.insertNew(context, 'k', 1),
      table.insertNew(context, 'k', 2),
      table.take(context, 'k'),
      table.take(context, 'k'),
      table.insertNew(context, 'k', 3),
      table.delete(context, 'k'),
      table.delete(context, 'k'),
      table.insert(context, 'l', 4),
      table.clear(context),
      table.size,
    ])
    expect(seen).toEqual([true, false, 1, undefined, true, true, false, undefined, undefined, 0])
  })

  test('counts from the initial value, and refuses what is not a number', async () => {
    const { table, owner } = await world()
    const counts = table as Table<unknown, number>
    const seen = await run(owner, (context) => [
      counts.updateCounter(context, 'k'),
      counts.updateCounter(context, 'k', { by: -3 }),
      counts.updateCounter(context, 'l', { by: 2, initial: 10 }),
    ])
    expect(seen).toEqual([1, -2, 12])

    const refused = run(owner, (context) => {
      table.insert(context, 'text', 'x')
      counts.updateCounter(context, 'text')
    })
    await expect(refused).rejects.toMatchObject({ code: 'WRONG_TYPE' })
    const none = null as never
    for (const wrong of [
      ...[Number.NaN, Number.POSITIVE_INFINITY, 'x' as never, none].map((by) => ({ by })),
      ...[none, { initial: 'x' as never }, { by: 1, step: 1 }],
    ]) {
      const update = run(owner, (context) => counts.updateCounter(context, 'k', wrong))
      await expect(update).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    const overflow = run(owner, (context) => {
      counts.insert(context, 'large', Number.MAX_VALUE)
      counts.updateCounter(context, 'large', { by: Number.MAX_VALUE })
    })
    await expect(overflow).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(counts.get('k')).toBe(-2)
  })

  test('keeps what it iterates while it is changed', async () => {
    const { table, owner, write } = await world()
    for (const key of ['a', 'b', 'c']) await write(key, 1)
    const seen = await run(owner, (context) =>
      [...table.keys()].concat([...keysWhileDeleting(table, context)]),
    )
    expect(seen).toEqual(['a', 'b', 'c', 'a', 'c'])
  })

  test.each<[TableOptions['protection'], string[]]>([
    ['protected', ['yes', 'yes', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT']],
    ['public', ['yes', 'yes', 'yes', 'yes']],
    ['private', ['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT']],
  ])('that is %s lets others do what its protection says', async (protection, expected) => {
    const { table, owner, other, system } = await world({ protection })
    await run(owner, (context) => {
      table.insert(context, 'k', 1)
      expect([table.get('k', context), [...table.entries(context)]]).toEqual([1, [['k', 1]]])
    })
    const tried = await run(other, (context) => [
      codeOf(() => table.get('k', context)) ?? 'yes',
      codeOf(() => table.keys()) ?? 'yes',
      codeOf(() => table.insert(context, 'k', 2)) ?? 'yes',
    ])
    expect([...tried, codeOf(() => table.insert(system, 'k', 3)) ?? 'yes']).toEqual(expected)
    expect(await run(owner, (context) => table.get('k', context))).toBe(
      protection === 'public' ? 3 : 1,
    )
  })

  test('of another System is not written, even when it is public', async () => {
    const { table } = await world({ protection: 'public' })
    const elsewhere = await world()
    expect(codeOf(() => table.insert(elsewhere.system, 'k', 1))).toBe('INVALID_ARGUMENT')
  })

  test('is not written by the code of a process that has ended', async () => {
    const { table, system, other } = await world({ protection: 'public' })
    const kept = await run(other, (context) => () => table.insert(context, 'k', 1))
    system.kill(other)
    expect([codeOf(kept), table.size]).toEqual(['EXITED', 0])
  })

  test('is found by its name, which no other table has', async () => {
    const { table, system, owner, other } = await world({ name: Table.name('prices') })
    expect(Table.named(system, Table.name('prices'))).toBe(table)
    expect(Table.named(system, Table.name('else'))).toBeUndefined()
    const again = run(other, (context) => Table.create(context, { name: Table.name('prices') }))
    await expect(again).rejects.toMatchObject({ code: 'CONFLICT' })
    await run(owner, (context) => table.drop(context))
    expect(Table.named(system, Table.name('prices'))).toBeUndefined()
    expect(codeOf(() => table.size)).toBe('CLOSED')
  })

  test.each([[{ protection: 'secret' }], [{ name: '' }], [{ heir: 'someone' }], [{ owner: 1 }]])(
    'with wrong options is refused: %j',
    async (options) => {
      const refused = world(options as never)
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    },
  )
})

/** Reads the keys while it removes one that was not read yet. */
function* keysWhileDeleting(table: Table, context: BareContext | Context<Messages>) {
  for (const key of table.keys()) {
    yield key
    table.delete(context, 'b')
  }
}

describe('the owner of a table', () => {
  test('takes the table along when it ends, before anybody learns of that end', async () => {
    const { table, write, system, owner, clock } = await world({ name: Table.name('prices') })
    await write('tea', 3)
    const seen: unknown[] = []
    system.monitor(owner, () =>
      seen.push(
        codeOf(() => table.get('tea')),
        Table.named(system, Table.name('prices')),
      ),
    )
    system.kill(owner)
    await clock.settle()
    expect(seen).toEqual(['CLOSED', undefined])
    expect(table.owner).toBeUndefined()
  })

  test('leaves it to its heir, who is sent the table before the down message', async () => {
    const { system, clock, probe, other } = await world()
    const heir = probe()
    const owner = await system.start(member)
    const table = await run(owner, (context) =>
      Table.create(context, { heir: heir.ref as Ref<TableHeir>, heirData: 'yours' }),
    )
    await run(owner, (context) => table.insert(context, 'tea', 3))
    await heir.act((context) => context.monitor(owner))
    system.kill(owner)
    await clock.settle()

    const [transfer, down] = heir.waiting()
    expect(transfer).toEqual({
      kind: 'info',
      name: 'table',
      payload: { table, from: owner, data: 'yours' },
    })
    expect(down).toMatchObject({ kind: 'down' })
    expect([table.get('tea'), table.owner]).toEqual([3, heir.ref])
    await heir.act((context) => table.insert(context as BareContext, 'tea', 4))
    expect(table.get('tea')).toBe(4)
    const late = run(other, (context) => table.insert(context, 'tea', 5))
    await expect(late).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('takes it along when the heir has ended already', async () => {
    const { system, clock, other } = await world()
    const owner = await system.start(member)
    const table = await run(owner, (context) =>
      Table.create(context, { heir: other as unknown as Ref<TableHeir> }),
    )
    system.kill(other)
    system.kill(owner)
    await clock.settle()
    expect(codeOf(() => table.size)).toBe('CLOSED')
  })

  test('gives it away, and may not write it then', async () => {
    const { system, table, owner, probe, clock } = await world()
    const receiver = probe()
    await run(owner, (context) => table.giveAway(context, receiver.ref as Ref<TableHeir>, 'gift'))
    await clock.settle()

    expect(receiver.waiting()).toEqual([
      { kind: 'info', name: 'table', payload: { table, from: owner, data: 'gift' } },
    ])
    await expect(run(owner, (context) => table.insert(context, 'k', 1))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    system.kill(receiver.ref)
    expect(codeOf(() => table.size)).toBe('CLOSED')
  })

  test('alone gives it away or names an heir, and only to a process that is there', async () => {
    const { system, owner, other, probe, table } = await world({ protection: 'public' })
    const heir = probe().ref as Ref<TableHeir>
    const refused = await run(other, (context) => [
      codeOf(() => table.giveAway(context, heir)),
      codeOf(() => table.setHeir(context, heir)),
    ])
    expect(refused).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT'])
    await run(owner, (context) => {
      const nobody = system.to(name<TableHeir>('nobody'))
      expect(codeOf(() => table.giveAway(context, nobody))).toBe('NO_PROCESS')
      const self = context.self as unknown as Ref<TableHeir>
      expect(codeOf(() => table.giveAway(context, self))).toBe('INVALID_ARGUMENT')
      table.setHeir(context, heir)
    })
    system.kill(owner)
    expect(table.owner).toBe(heir)
  })
})

describe('a table keeper', () => {
  const scores = Table.name<string, number>('scores')
  const writer: GenServer<{ calls: { add: (who: string) => number } }, Table<string, number>> = {
    init: (_, context) =>
      Table.claim(context, scores, { keeper: context.system.to(name('keeper')) }),
    calls: {
      add: (table, who, context) => {
        if (who === 'crash') throw new Error('boom')
        return reply(table.updateCounter(context, who), table)
      },
    },
  }

  test('holds a table while its writer is restarted', async () => {
    const { system, clock } = testSystem()
    const writerName = name<{ calls: { add: (who: string) => number } }>('writer')
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'rest_for_one' }, [
        tableKeeper('keeper', { name: name('keeper') }),
        worker('writer', writer, undefined, { name: writerName }),
      ]),
    )
    const ref = system.to(writerName)
    expect([await call(ref, 'add', 'Ada'), await call(ref, 'add', 'Ada')]).toEqual([1, 2])
    const owners: unknown[] = []
    system.monitor(name('writer'), () => owners.push(Table.named(system, scores)?.owner))
    const keeper = system.whereis(name('keeper'))
    await expect(call(ref, 'add', 'crash')).rejects.toMatchObject({ code: 'EXITED' })
    await clock.settle()

    expect(owners).toEqual([keeper])
    expect(await call(ref, 'add', 'Ada')).toBe(3)
    expect(Table.named(system, scores)?.owner).toBe(system.whereis(name('writer')))
  })

  test('gives a table to one claimer: another is refused while that one lives', async () => {
    const { system } = testSystem()
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        tableKeeper('keeper', { name: name('keeper') }),
      ]),
    )
    await system.start(writer)
    const second = await system.startResult(writer)
    expect(second).toMatchObject({ ok: false, reason: { code: 'CONFLICT' } })
    system.kill(system.to(name('keeper')))
    const alone = await testSystem().system.startResult(writer)
    expect(alone).toMatchObject({ ok: false, reason: { code: 'NO_PROCESS' } })
  })
})
