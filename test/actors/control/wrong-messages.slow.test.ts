/** Storage actors refuse unknown messages from any sender, and continue. */
import { describe, expect, test } from 'vitest'
import { call, cast, name, type Ref, send } from '../../../src/runtime/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

/** Any message, as a caller without types sends it. */
type Anything = {
  calls: { [name: string]: (payload?: unknown) => unknown }
  casts: { [name: string]: (payload?: unknown) => void }
  infos: { [name: string]: (payload?: unknown) => void }
}

const parts = [
  ...['blob_store', 'wal_writer', 'applier', 'batcher', 'journal', 'lmdb_writer', 'expirer'],
  ...['alarms', 'snapshotter', 'replicator'],
]
const names = ['control', ...parts.map((part) => `${part}(0)`)]

/** Payloads that are invalid for every message, or for all but one. */
const payloads = [
  undefined,
  null,
  7,
  'text',
  [],
  {},
  { ok: true },
  { ok: false, reason: 'x' },
  { ok: true, value: {} },
  { time: 1, durableLsn: 1, lsns: [1_000], units: [1], changes: {} },
]

/** Names of messages, known and unknown. */
const messages = {
  calls: [
    'nope',
    'toString',
    'append',
    'subscribe',
    'follow',
    'write',
    'put',
    'stream',
    'suspend',
    'resume',
    'suspend_all',
    'flush_all',
    'resume_all',
    'discard_all',
    'flush',
    'request',
    'sweep',
    'reopen',
    'leaseDue',
  ],
  casts: [
    ...['nope', '__proto__', 'committed', 'projected', 'enqueueProjectionOutbox', 'hurry'],
    'deliver',
  ],
  infos: [
    'nope',
    'constructor',
    'committed',
    'settled',
    'windowOver',
    'ended',
    'stopped',
    'cooled',
    'read',
    'removed',
    'answered',
    'stepped',
    ...['flushDue', 'givenUp', 'readRows', 'retryDue', 'step', 'synced'],
  ],
}

/** A replica that no session opens to. */
const noReplica = {
  description: 'none',
  open: () => new Promise<never>(() => undefined),
  read: () => new Promise<never>(() => undefined),
}

describe.each(names)('%s', (actor) => {
  test('refuses unknown messages and invalid payloads, and continues', async () => {
    const { during, app } = await started({ replication: [{ client: noReplica }] })
    const ref: Ref<Anything> = app.system.to(name<Anything>(actor))
    const { pid } = ref
    await during(app.store.put('k', 1))

    const asked: Promise<unknown>[] = []
    for (const payload of payloads) {
      for (const each of messages.casts) cast(ref, each, payload)
      for (const each of messages.infos) send(ref, each, payload)
      for (const each of messages.calls) asked.push(codeOf(call(ref, each, payload)))
    }
    const codes = await during(Promise.all(asked))

    for (const code of codes) expect(['INVALID_ARGUMENT', 'TIMEOUT', 'ok']).toContain(code)
    expect(await during(codeOf(call(ref, 'nope')))).toBe('INVALID_ARGUMENT')
    expect(app.system.to(name(actor)).pid).toBe(pid)
    await during(app.store.put('k', 2))
    expect(app.store.get('k')).toBe(2)
    await during(app.close())
  })
})

describe('control', () => {
  const filled = async () => {
    const { world, app } = await started({ shards: 2 })
    await world.during(Promise.all([...'abcd'].map((key) => app.store.put(key, key))))
    return { ...world, app, control: app.system.to(name<Anything>('control')) }
  }
  const ok = [
    { shard: 0, ok: true },
    { shard: 1, ok: true },
  ]

  test('accepts the names of the references for every shard', async () => {
    const { app, control, during } = await filled()
    expect(await during(call(control, 'flush_all'))).toEqual({ outcomes: ok })
    const held = await during(call(control, 'suspend_all', { flush: false }))
    const { token } = held as { token: string }
    expect(held).toEqual({ token, outcomes: ok })
    expect(app.health().shards.every(({ suspended }) => suspended)).toBe(true)
    expect(await during(call(control, 'resume_all', { token }))).toEqual({ outcomes: ok })
    expect(app.health().shards.some(({ suspended }) => suspended)).toBe(false)
    expect(await during(call(control, 'discard_all'))).toEqual({ outcomes: ok })
  })

  test('refuses their wrong options with the path of the error', async () => {
    const { control, during } = await filled()
    for (const [message, options, path] of [
      ['suspend_all', { timeoutMs: 0 }, 'timeoutMs'],
      ['suspend_all', { flush: 1 }, 'flush'],
      ['suspend_all', { owner: 'me' }, 'owner'],
      ['resume_all', { token: 7 }, 'token'],
      ['flush_all', { timeout: 1 }, 'timeout'],
      ['discard_all', 7, 'options'],
    ] as const)
      await expect(during(call(control, message, options))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        details: { path },
      })
  })

  test('refuses a token that suspends none of the shards, and ends no other hold', async () => {
    const { app, during } = await filled()
    const { token } = await during(app.control.suspend(0))
    for (const wrong of ['nope', '', 'overlay', 'recovering'])
      expect(await during(codeOf(app.control.resumeAll({ token: wrong })))).toBe('INVALID_ARGUMENT')
    expect(await during(codeOf(app.control.resume(1, { token })))).toBe('INVALID_ARGUMENT')
    expect(await during(app.control.resumeAll({ token }))).toEqual({ outcomes: ok })
    expect(await during(codeOf(app.control.resumeAll({ token })))).toBe('INVALID_ARGUMENT')
  })
})
