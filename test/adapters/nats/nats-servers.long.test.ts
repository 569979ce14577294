/** The engine on three NATS servers, whose streams have three replicas: the contract, and a leader that is killed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { namesOf } from '../../../src/adapters/nats/names.ts'
import { natsEngine } from '../../../src/adapters/nats/nats.ts'
import { NatsLink } from '../../../src/adapters/nats/nats-link.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type ClusterEngine,
  type EngineGroup,
  type EngineSession,
  engineStart,
} from '../../../src/storage/index.ts'
import { engineContract } from '../../contracts/cluster-engine.contract.ts'
import {
  groupBehind,
  outcomeOf as outcomeNow,
  textsOf,
} from '../../contracts/engine-log.contract.ts'
import { lacks } from '../../support/lacks.ts'
import { thorough, triesAll } from '../../support/tier.ts'
import { freePort, NatsRelay, NatsServer, noNats } from '../../support/worlds/nats-server.ts'

describe.skipIf(lacks(noNats()))('an engine on three NATS servers', () => {
  let [dir, servers, relay]: [string, NatsServer[], NatsRelay] = ['', [], undefined as never]
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-'))
    const routes = [await freePort(), await freePort(), await freePort()]
    const known = routes.map((port) => `nats://127.0.0.1:${port}`).join(', ')
    for (const [at, port] of routes.entries()) {
      const cluster = `cluster { name: c, listen: "127.0.0.1:${port}", routes: [${known}] }`
      servers.push(new NatsServer(join(dir, `${at}`), await freePort(), cluster, `s${at}`))
    }
    await Promise.all(servers.map((server) => server.start()))
    relay = new NatsRelay(servers[0] as NatsServer)
    await relay.listen()
    // They have a leader once a stream can be made.
    while ((await outcomeOf(open('first'))) !== 'ok');
  }, 60_000)
  afterAll(async () => {
    relay.close()
    await Promise.all(servers.map((server) => server.stop()))
    rmSync(dir, { recursive: true, force: true })
  })

  const engineAt = (urls: readonly string[]): ClusterEngine => {
    const engine = natsEngine({ servers: urls, durability: 'replicated' })
    const { description } = engine
    return { description, open: (options) => engine.open({ ...options, copies: 2 }) }
  }
  const open = (cluster: string) =>
    engineAt(servers.map(({ url }) => url)).open({ cluster, copies: 2, leaseMs: 2_000 })
  const linked = (): NatsLink => {
    const link = new NatsLink({ servers: servers.map(({ url }) => url) }, 2_000)
    onTestFinished(() => link.close())
    return link
  }

  // Each claim makes streams of three replicas, which takes a second.
  if (triesAll)
    engineContract(() => ({
      engine: engineAt(servers.map(({ url }) => url)),
      lossy: async (cluster) => {
        const session = await engineAt([relay.url]).open({ cluster, copies: 2, leaseMs: 2_000 })
        return { session, loseNext: () => relay.loseNext() }
      },
    }))

  test('whose leaders are killed has each acknowledged group once, and an intruder stops the owner', async () => {
    const session = await open('killed')
    onTestFinished(() => session.close())
    const link = linked()
    const { stream } = namesOf('killed').log('0')
    const log = session.log('0')
    while ((await outcomeOf(log.create('log'))) !== 'ok');
    const texts: string[] = []
    let at = engineStart
    for (let round = 0; round < thorough(2, 10); round++) {
      const leader = (await answered(() => link.info(stream)))?.cluster?.leader
      const killed = servers.find(({ name }) => name === leader)
      for (let count = 0; count < 20; count++) {
        const group = groupBehind(at, `${round}-${count}`, { epoch: 1 })
        const appended = outcomeOf(log.append(group))
        if (count === 10) await killed?.kill()
        let outcome = await appended
        while (outcome === 'UNKNOWN_OUTCOME') outcome = await outcomeOf(log.append(group))
        expect(outcome).toBe('ok')
        texts.push(`${round}-${count}`)
        at = group.end
      }
      await killed?.start()
    }
    expect(await answered(() => textsOf(log))).toEqual(texts)

    const other = await answered(() => open('killed'))
    onTestFinished(() => other.close())
    await answered(() => other.log('0').append(groupBehind(at, 'epoch 2', { epoch: 2 })))
    expect(await outcomeOf(log.append(groupBehind(at, 'late')))).toBe('FENCED')
  }, 180_000)

  test('whose leader was paused takes nothing of an owner that is connected to it, after a claim at the others', async () => {
    const first = await answered(() => open('paused'))
    await answered(() => first.log('0').create('log'))
    const claim = groupBehind(engineStart, 'epoch', { epoch: 1 })
    await answered(() => first.log('0').append(claim))
    await first.close()
    const link = linked()
    const leader = (await link.info(namesOf('paused').log('0').stream))?.cluster?.leader
    const paused = servers.find(({ name }) => name === leader) as NatsServer
    const options = { cluster: 'paused', copies: 2, leaseMs: 2_000 }
    const session = await engineAt([paused.url]).open(options)
    onTestFinished(() => session.close())
    const log = session.log('0')
    const group = groupBehind(claim.end, 'a')
    await log.append(group)
    paused.pause()
    const late = groupBehind(group.end, 'late')
    const outcomes: string[] = []
    const sent = outcomeOf(log.append(late)).then((outcome) => outcomes.push(outcome))
    const others = engineAt(servers.filter((each) => each !== paused).map(({ url }) => url))
    const end = groupBehind(group.end, 'epoch 2', { epoch: 2 })
    // Until they have a new leader, nothing is answered.
    while ((await outcomeOf(others.open(options).then(claimedBy(end)))) !== 'ok');

    paused.resume()
    await sent
    while (outcomes.at(-1) !== 'FENCED') outcomes.push(await outcomeOf(log.append(late)))

    expect(outcomes).not.toContain('ok')
    // While the three choose a leader again, they answer nothing.
    expect(await answered(() => textsOf(log))).toEqual(['epoch', 'a', 'epoch 2'])
  }, 180_000)

  test('whose log was made with one copy outlives its server with what an owner with two appends', async () => {
    const engine = natsEngine({ servers: servers.map(({ url }) => url), durability: 'replicated' })
    const options = { cluster: 'raised', copies: 1, leaseMs: 2_000 }
    const first = await answered(() => engine.open(options))
    await answered(() => first.log('0').create('log'))
    const claim = groupBehind(engineStart, 'epoch', { epoch: 1 })
    const large = { ...groupBehind(claim.end, 'large'), bytes: new Uint8Array(16 << 20) }
    for (const group of [claim, large]) await answered(() => first.log('0').append(group))
    await first.close()
    const session = await answered(() => open('raised'))
    onTestFinished(() => session.close())
    const last = groupBehind(large.end, 'epoch 2', { epoch: 2 })

    await answered(() => session.log('0').append(last))

    const link = linked()
    const { directory, files, log } = namesOf('raised')
    for (const { stream } of [directory, files, log('0')])
      expect((await link.info(stream))?.config.num_replicas).toBe(3)
    const leader = (await link.info(log('0').stream))?.cluster?.leader
    const killed = servers.find(({ name }) => name === leader)
    await killed?.kill()
    const next = groupBehind(last.end, 'next')
    await answered(() => session.log('0').append(next))
    const { groups } = await answered(() => session.log('0').read(0, 64 << 20))
    expect(groups.map(({ end }) => end.id)).toEqual(
      [claim, large, last, next].map(({ end }) => end.id),
    )
    await killed?.start()
  }, 180_000)
})

/** Asks again until there is an answer. */
const answered = async <T>(ask: () => Promise<T>): Promise<T> => {
  for (;;)
    try {
      return await ask()
    } catch (error) {
      if (!isKeelsonError(error, 'UNKNOWN_OUTCOME')) throw error
      await turned()
    }
}

/** The outcome, and a turn of the event loop. */
const outcomeOf = async (work: Promise<unknown>): Promise<string> => {
  const outcome = await outcomeNow(work)
  await turned()
  return outcome
}

/**
 * A test that is too late goes on without its servers, which are stopped. Each question fails at once then, and without
 * a turn of the loop this process would never end.
 */
const turned = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Appends a group in a session, and ends it. */
const claimedBy =
  (group: EngineGroup) =>
  async (session: EngineSession): Promise<void> => {
    try {
      await session.log('0').append(group)
    } finally {
      await session.close()
    }
  }
