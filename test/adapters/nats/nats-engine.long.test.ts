/**
 * The engine in NATS JetStream: the contract of engines on a real server, one that restarts, a stream whose end was replaced,
 * and servers that prove nothing.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { namesOf, token } from '../../../src/adapters/nats/names.ts'
import { type NatsEngineOptions, natsEngine } from '../../../src/adapters/nats/nats.ts'
import { NatsLink } from '../../../src/adapters/nats/nats-link.ts'
import { type EngineLog, engineStart } from '../../../src/storage/index.ts'
import { engineContract } from '../../contracts/cluster-engine.contract.ts'
import { groupBehind, outcomeOf, textsOf } from '../../contracts/engine-log.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { thorough } from '../../support/tier.ts'
import { freePort, NatsRelay, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

describe.skipIf(lacks(noNats()))('an engine in NATS', () => {
  let [dir, server, relay, monitor]: [string, NatsServer, NatsRelay, string] = [] as never
  const engineAt = (url: string, more: Partial<NatsEngineOptions> = {}) =>
    natsEngine({ servers: [url], durability: 'replicated', ...more })
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    const port = await freePort()
    monitor = `http://127.0.0.1:${port}`
    server = new NatsServer(join(dir, 'server'), await freePort(), `http: "127.0.0.1:${port}"`)
    await server.start()
    relay = new NatsRelay(server)
    await relay.listen()
  })
  afterAll(async () => {
    relay.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  engineContract(() => ({
    engine: engineAt(server.url),
    lossy: async (cluster) => {
      const session = await engineAt(relay.url).open({ cluster, copies: 1, leaseMs: 1_000 })
      return { session, loseNext: () => relay.loseNext() }
    },
  }))

  /** A member of a cluster of its own, whose log has epoch 1. */
  const owner = async (cluster: string) => {
    const session = await engineAt(server.url).open({ cluster, copies: 1, leaseMs: 1_000 })
    onTestFinished(() => session.close())
    const log = session.log('0')
    await log.create('log')
    const claim = groupBehind(engineStart, 'epoch', { epoch: 1 })
    await log.append(claim)
    return { session, log, claim }
  }

  const appended = async (log: EngineLog, group: Parameters<EngineLog['append']>[0]) => {
    let outcome = 'UNKNOWN_OUTCOME'
    while (outcome === 'UNKNOWN_OUTCOME') outcome = await outcomeOf(log.append(group))
    return outcome
  }

  test('that is killed and started again has each acknowledged group once, and its owner goes on', async () => {
    const { log, claim } = await owner('killed')
    const texts = ['epoch']
    let at = claim.end
    for (let round = thorough(3, 30); round > 0; round--) {
      for (const isDuring of [false, true]) {
        const group = groupBehind(at, `${round} ${isDuring}`)
        const outcome = appended(log, group)
        if (!isDuring) await outcome
        await server.kill()
        await server.start()
        expect(await outcome).toBe('ok')
        texts.push(`${round} ${isDuring}`)
        at = group.end
      }
    }

    expect(await textsOf(log)).toEqual(texts)
  }, 120_000)

  test('whose stream lost its end takes nothing of an owner that has not seen it, also at the same number', async () => {
    const { session, log, claim } = await owner('replaced')
    const lost = groupBehind(claim.end, 'lost')
    await log.append(lost)
    // The stream begins anew without the group, and an intruder takes the number that the group had.
    const { stream, subject } = namesOf('replaced').log('0')
    const link = new NatsLink({ servers: [server.url] }, 1_000)
    onTestFinished(() => link.close())
    await link.ask(`STREAM.DELETE.${stream}`)
    const other = await engineAt(server.url).open({ cluster: 'replaced', copies: 1 })
    onTestFinished(() => other.close())
    const intruder = other.log('0')
    await intruder.create('log')
    await intruder.append(claim)
    const end = groupBehind(claim.end, 'epoch 2', { epoch: 2 })
    await intruder.append(end)
    const last = await link.message(stream, { last_by_subj: `${subject}.*` })
    expect(last?.seq).toBe(3)

    const outcome = await outcomeOf(log.append(groupBehind(lost.end, 'next')))

    expect(outcome).toBe('FENCED')
    expect(await textsOf(session.log('0'))).toEqual(['epoch', 'epoch 2'])
  })

  test('has no chunks of an upload that had no answer once its repeat is the file', async () => {
    const { session } = await owner('uploads')
    const { stream, subject } = namesOf('uploads').files
    const link = new NatsLink({ servers: [server.url] }, 1_000)
    onTestFinished(() => link.close())
    const chunk = (name: string, at: number) => `${subject}.chunk.${token(name)}.unanswered.${at}`
    for (const each of [chunk('large', 0), chunk('large', 1), chunk('other', 0)])
      await link.publish(each, Buffer.from('wh'))

    await session.files.put('large', [Buffer.from('whole')])

    const info = await link.info(stream, { subjects_filter: `${subject}.chunk.>` })
    const left = Object.keys(info?.state.subjects ?? {})
    expect(left.filter((each) => each.includes('unanswered'))).toEqual([chunk('other', 0)])
    expect(left).toHaveLength(2)
    for await (const piece of session.files.read('large'))
      expect(Buffer.from(piece).toString()).toBe('whole')
  })

  test('says CORRUPT where a message of a log is missing, also in the middle of a group', async () => {
    const { log, claim } = await owner('holes')
    const large = { ...groupBehind(claim.end, 'large'), bytes: new Uint8Array(1 << 20) }
    const last = groupBehind(large.end, 'last')
    await log.append(large)
    await log.append(last)
    const link = new NatsLink({ servers: [server.url] }, 1_000)
    onTestFinished(() => link.close())
    const { stream } = namesOf('holes').log('0')
    // The claim is the second message; the group has parts from the third on.
    await link.ask(`STREAM.MSG.DELETE.${stream}`, { seq: 3, no_erase: true })

    expect(await outcomeOf(log.read(0, 1 << 22))).toBe('CORRUPT')
    expect(await outcomeOf(log.survey(0))).toBe('CORRUPT')
    expect((await log.salvage(0, 1 << 22)).groups.map(({ end }) => end.id)).toEqual([
      claim.end.id,
      last.end.id,
    ])
    expect((await log.read(large.end.lsn, 1)).groups).toHaveLength(1)
  })

  test('is refused if it takes no piece of a snapshot, and keeps files if it takes just that', async () => {
    const openAt = async (maxPayload: number) => {
      const folder = join(dir, `takes ${maxPayload}`)
      const small = new NatsServer(folder, await freePort(), `max_payload: ${maxPayload}`)
      await small.start()
      onTestFinished(() => small.stop())
      return engineAt(small.url).open({ cluster: 'c', copies: 1 })
    }
    expect(await outcomeOf(openAt(256 * 1024))).toBe('CONFIG')

    const session = await openAt(512 * 1024)
    onTestFinished(() => session.close())
    const bytes = Buffer.alloc(600_000, 'abcdefg')
    await session.files.put('large', [bytes])
    await session.log('0').create('log')
    await session.log('0').append({ ...groupBehind(engineStart, 'large', { epoch: 1 }), bytes })

    const pieces: Uint8Array[] = []
    for await (const piece of session.files.read('large')) pieces.push(piece)
    const { groups } = await session.log('0').read(0, 1 << 20)
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
    expect(groups.map((group) => bytes.equals(group.bytes))).toEqual([true])
  })

  test('is refused without a proof that it syncs before it acknowledges', async () => {
    const open = (more: Partial<NatsEngineOptions>) =>
      engineAt(server.url, { durability: 'synced', ...more }).open({ cluster: 'c', copies: 1 })
    const away = `http://127.0.0.1:${await freePort()}`
    const proof = createServer((_, answer) =>
      answer.end('{"server_name":"one","jetstream":{"config":{"sync_always":true}}}'),
    ).listen(0, '127.0.0.1')
    await once(proof, 'listening')
    const proven = `http://127.0.0.1:${(proof.address() as { port: number }).port}/`

    expect(await outcomeOf(open({}))).toBe('CONFIG')
    expect(await outcomeOf(open({ monitors: [monitor] }))).toBe('CONFIG')
    expect(await outcomeOf(open({ monitors: [away] }))).toBe('UNKNOWN_OUTCOME')
    const session = await open({ monitors: [proven] })

    expect(await outcomeOf(session.log('0').create('log'))).toBe('ok')
    await session.close()
    proof.close()
    const alone = engineAt(server.url).open({ cluster: 'copied', copies: 2 })
    expect(await outcomeOf(alone)).toBe('CONFIG')
    // A server that is not there may come back.
    const gone = engineAt(`nats://127.0.0.1:${await freePort()}`)
    expect(await outcomeOf(gone.open({ cluster: 'c', copies: 1 }))).toBe('UNKNOWN_OUTCOME')
  })
})
