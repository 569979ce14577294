/** The options of `keelson/nats`, and the judgement on servers that may lose what they acknowledge. */
import { describe, expect, test } from 'vitest'
import { nameIn, token } from '../../../src/adapters/nats/names.ts'
import { natsEngine } from '../../../src/adapters/nats/nats.ts'
import { doubtAbout, serversOf } from '../../../src/adapters/nats/server-proof.ts'

const servers = ['nats://user:secret@db:4222']

describe('natsEngine', () => {
  test.each([
    ['a name that it does not know', { servers, server: 'a' }, 'server'],
    ['no servers', {}, 'servers'],
    ['a URL in place of a list', { servers: 'nats://user:secret@db' }, 'servers'],
    ['a server without a protocol', { servers: ['secret:4222'] }, 'servers[0]'],
    ['a monitor that is no URL', { servers, monitors: ['secret'] }, 'monitors[0]'],
    ['another durability', { servers, durability: 'none' }, 'durability'],
  ])('refuses %s, without what was given', (_, options, path) => {
    const refused = () => natsEngine(options as never)

    expect(refused).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(refused).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }))
    expect(refused).not.toThrow(/secret/)
  })

  test('describes its servers without the password, and says what keeps a message', () => {
    expect(natsEngine({ servers }).description).toBe('nats db:4222 (synced)')
    expect(natsEngine({ servers, durability: 'replicated' }).description).toContain('replicated')
  })

  test('refuses more copies than a stream can have, before it connects', async () => {
    const opened = natsEngine({ servers }).open({ cluster: 'c', copies: 4 })
    await expect(opened).rejects.toMatchObject({ code: 'CONFIG' })
  })
})

describe('a server is believed', () => {
  const status = (name: string, version = '2.12.1', isSynced = true) => ({
    ...{ server_name: name, version },
    jetstream: { config: { sync_always: isSynced } },
  })

  test('only if it says that it syncs before it acknowledges', () => {
    expect(doubtAbout(['a'], [status('a')])).toBeUndefined()
    expect(doubtAbout(['a'], [status('a', '2.12.1', false)])).toContain('does not sync')
    // As 2.9 says it.
    expect(doubtAbout(['a'], [{ server_name: 'a', version: '2.9.10' }])).toContain('does not sync')
  })

  test('only if it was asked: each that keeps the stream, and none of another name', () => {
    expect(doubtAbout(['a', 'b'], [status('a'), status('c')])).toContain('the server b is at none')
    expect(doubtAbout(['a'], [])).toContain('monitors')
  })

  test('beside replicas only from 2.11 on', () => {
    expect(
      doubtAbout(
        ['a', 'b'],
        ['a', 'b'].map((name) => status(name)),
      ),
    ).toBeUndefined()
    expect(doubtAbout(['a', 'b'], [status('a'), status('b', '2.10.27')])).toContain('2.11')
    expect(doubtAbout(['a'], [status('a', '2.10.27')])).toBeUndefined()
  })

  test('if it is the leader or a replica that is there', () => {
    const replicas = [{ name: 'b' }, { name: 'c', offline: true }]
    const stream = { config: { num_replicas: 3 }, state: { first_seq: 1 } }
    expect(serversOf({ ...stream, cluster: { leader: 'a', replicas } }, 'z')).toEqual(['a', 'b'])
    expect(serversOf(stream, 'z')).toEqual(['z'])
  })
})

test('a name is one token of a subject, and is read back from it', () => {
  for (const name of ['a', 's/1', 'a.b_c d', 'é*>', '_2f', ''])
    expect([token(name), nameIn(token(name))]).toEqual([
      expect.stringMatching(/^[A-Za-z0-9_-]*$/),
      name,
    ])
})
