/** `app.journal.append`: one acknowledgement for each id, after the sync, in order. */
import { describe, expect, test } from 'vitest'
import { eventPayload, readEventPayload } from '../../../src/storage/values/event-payload.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

const order = (id: string, cents = 100) => ({
  id,
  type: 'limit',
  command: { cents },
  response: 'accepted',
  events: [{ type: 'accepted', payload: { id } }],
  effects: [{ type: 'hold', payload: cents }],
})

describe('an append', () => {
  test('is acknowledged only after its group is synced, in the order of the calls', async () => {
    const { clock, app } = await started({}, { syncMs: 20 })
    const acked: string[] = []
    for (const id of ['a', 'b', 'c']) void app.journal.append(order(id)).then(() => acked.push(id))

    await clock.advance(19)
    expect(acked).toEqual([])

    await clock.advance(40)
    expect(acked).toEqual(['a', 'b', 'c'])
  })

  test('says where the entry stands, and goes on counting after a put', async () => {
    const { during, app } = await started()

    const first = await during(app.journal.append(order('a')))
    const put = await during(app.store.put('k', 1))
    const second = await during(app.journal.append(order('b')))

    expect(first).toEqual({
      ...{ shard: 0, lsn: expect.any(Number), index: 0 },
      ...{ time: expect.any(Number), repeated: false },
    })
    expect(put.position.lsn).toBeGreaterThan(first.lsn)
    expect(second.lsn).toBeGreaterThan(put.position.lsn)
  })

  test('of an id that is there gets the first acknowledgement, or CONFLICT for other content', async () => {
    const { during, app } = await started()
    const first = await during(app.journal.append(order('a')))

    const again = await during(app.journal.append(order('a')))
    expect(again).toEqual({ ...first, repeated: true })

    const other = app.journal.append(order('a', 101))
    await expect(during(other)).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { key: 'a', entry: { lsn: first.lsn, index: 0, time: first.time } },
    })
  })

  test('knows its ids after a power cut, a close and the loss of the projection', async () => {
    const { start, during, disk, projections, app } = await started()
    const first = await during(app.journal.append(order('a')))
    disk.crash()
    app.system.stop().catch(() => undefined)

    const cut = await start()
    expect(await during(cut.journal.append(order('a')))).toEqual({ ...first, repeated: true })
    await during(cut.close())
    projections.remove('/data/shard-0/lmdb')

    const last = await start()
    expect(await during(last.journal.append(order('a')))).toEqual({ ...first, repeated: true })
    expect(await during(codeOf(last.journal.append(order('a', 7))))).toBe('CONFLICT')
  })

  test('whose sync fails has an unknown outcome, and a repeat settles it', async () => {
    const { during, disk, app } = await started()
    await during(app.journal.append(order('a')))
    failNextSync(disk)

    expect(await during(codeOf(app.journal.append(order('b'))))).toBe('UNKNOWN_OUTCOME')

    await during(app.control.reopen(0))
    expect(await during(codeOf(app.journal.append(order('b'))))).toBe('ok')
    expect(await during(codeOf(app.journal.append(order('b', 1))))).toBe('CONFLICT')
  })

  test('goes to the journal of another shard, where ids are others', async () => {
    const { during, app } = await started({ shards: 2 })
    await during(app.journal.append(order('a')))

    const other = await during(app.journal.on(1).append(order('a', 5)))

    expect(other).toMatchObject({ shard: 1, repeated: false })
    expect(() => app.journal.on(2)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('is refused at the caller when it cannot be stored, with the path of the fault', async () => {
    const { app } = await started()
    const refusal = (entry: unknown): Promise<unknown> =>
      app.journal.append(entry as never).then(
        () => 'ok',
        ({ code, details }) => [code, details.path],
      )

    expect(await refusal({ id: '', type: 't' })).toEqual(['INVALID_ARGUMENT', 'id'])
    expect(await refusal({ id: 'a', type: 7 })).toEqual(['INVALID_ARGUMENT', 'type'])
    expect(await refusal({ id: 'a', type: 't', command: { f: () => 1 } })).toEqual([
      'INVALID_ARGUMENT',
      ['command', 'f'],
    ])
    expect(await refusal({ id: 'a', type: 't', response: Uint8Array.of(0, 1) })).toEqual([
      'INVALID_ARGUMENT',
      ['response'],
    ])
    expect(
      await refusal({ id: 'a', type: 't', events: [{ type: 'e', payload: [Symbol.iterator] }] }),
    ).toEqual(['INVALID_ARGUMENT', ['events', 0, 'payload', 0]])
    const sound = { type: 'e', payload: 1 }
    for (const list of ['events', 'effects']) {
      const refused = (...second: unknown[]) =>
        refusal({ id: 'a', type: 't', [list]: Object.assign(new Array(2), [sound, ...second]) })
      expect(await refused()).toEqual(['INVALID_ARGUMENT', [list, 1]])
      expect(await refused(null)).toEqual(['INVALID_ARGUMENT', [list, 1]])
      expect(await refused({ ...sound, tpye: 'e' })).toEqual(['INVALID_ARGUMENT', `${list}.1.tpye`])
      expect(await refused({ payload: 1 })).toEqual(['INVALID_ARGUMENT', [list, 1, 'type']])
    }
    expect(() => app.journal.subscribe({ name: '', handler: () => undefined })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ path: 'name' }) }),
    )
    expect(app.health().shards[0]?.writes.entered).toBe(0)
  })

  test('has payloads that are read from bytes only', async () => {
    const read = async (payload: unknown) => readEventPayload(payload as Uint8Array)
    for (const payload of [null, undefined, 5, '\x01a', {}])
      expect(await codeOf(read(payload))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(read(new Uint8Array(0)))).toBe('CORRUPT')
  })

  test('takes a ready payload as it is: equal to the value that it was made of', async () => {
    const { during, app } = await started()
    await during(app.journal.append(order('a')))

    const ready = { ...order('a'), command: eventPayload({ cents: 100 }) }
    expect(await during(app.journal.append(ready))).toMatchObject({ repeated: true })

    const newer = { ...order('a'), command: eventPayload({ cents: 100 }, 2) }
    expect(await during(codeOf(app.journal.append(newer)))).toBe('CONFLICT')
  })

  test('without options waits for room, and ends at the deadline of the instance', async () => {
    const { during, clock, app } = await started({ deadlineMs: 500 })
    const { token } = await during(app.control.suspend(0, { writes: true }))
    const [late, early] = [codeOf(app.journal.append(order('a'))), app.journal.append(order('b'))]
    await clock.advance(400)
    const refused = app.journal.append(order('c'), { whenFull: 'refuse' })
    expect(await during(codeOf(refused))).toBe('BUSY')
    await during(app.control.resume(0, { token }))
    expect([await during(late), (await during(early)).repeated]).toEqual(['ok', false])

    await during(app.control.suspend(0, { writes: true }))
    const waiting = codeOf(app.journal.append(order('d')))
    await clock.advance(600)
    expect(await waiting).toBe('NOT_SUBMITTED')
  })

  test('is held by its own window, and by that of no namespace', async () => {
    const { clock, app } = await started({ batcher: { windows: { _root: 5_000 } } })
    const done: string[] = []
    const append = (id: string, options?: object) =>
      void app.journal.append(order(id), options).then(() => done.push(id))
    append('without options')
    await clock.advance(50)
    append('with others', { deadlineMs: 10_000 })
    await clock.advance(50)
    append('with its own', { windowMs: 1_000 })
    await clock.advance(500)
    expect(done).toEqual(['without options', 'with others'])
    await clock.advance(1_000)
    expect(done).toHaveLength(3)
  })

  test('tells that it is only written where the instance does not sync', async () => {
    const { during, app } = await started({ wal: { enableFsync: false } })

    expect(await during(app.journal.append(order('a')))).toMatchObject({ level: 'written' })
  })
})
